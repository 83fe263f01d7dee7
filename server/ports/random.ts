/** Randomness as rooms get it. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Unpredictable bytes, for identities. */
  bytes(count: number): Uint8Array
}
