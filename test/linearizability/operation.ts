/** One operation of one key's history, over its whole life. */

export interface Operation<Act> {
  readonly process: number | string
  readonly act: Act
  /** Places in the history's order: numbers of lines. */
  readonly calledAt: number
  /** Infinity: it never ended, and may take effect at any time after its call, or never. */
  readonly endedAt: number
  /** By the history's clock; -Infinity and Infinity where there is none, and where it never ended. */
  readonly calledMs: number
  readonly endedMs: number
}
