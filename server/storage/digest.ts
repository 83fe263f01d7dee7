/**
 * The additive digest of all state rows: a sum over the rows' checksums, each scrambled first, so that it follows the state row
 * by row, in any order, without reading the others. It does not name a wrong row; it says that one is wrong, missing or stale.
 */

/** Scrambles 32 bits (the finalizer of MurmurHash3, Austin Appleby, public domain). */
function scramble(bits: number): number {
  let h = bits
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/**
 * A row's checksum as its mark: 0 stands for "not on disk". As a signed number, since V8 keeps those of 32 bits in the
 * row itself, and boxes greater ones: a heap number for each of a million rows.
 */
export function markOf(checksum: number): number {
  return checksum | 0 || 1
}

export class Digest {
  rows = 0
  #low = 0
  #high = 0

  constructor(from?: { rows: number; digestLow: number; digestHigh: number }) {
    if (!from) return
    this.rows = from.rows
    this.#low = from.digestLow | 0
    this.#high = from.digestHigh | 0
  }

  get digestLow(): number {
    return this.#low >>> 0
  }
  get digestHigh(): number {
    return this.#high >>> 0
  }

  add(mark: number): void {
    this.rows += 1
    this.#low = (this.#low + scramble(mark)) | 0
    this.#high = (this.#high + scramble(mark ^ 0x5bd1e995)) | 0
  }

  remove(mark: number): void {
    this.rows -= 1
    this.#low = (this.#low - scramble(mark)) | 0
    this.#high = (this.#high - scramble(mark ^ 0x5bd1e995)) | 0
  }

  agrees(with_: { rows: number; digestLow: number; digestHigh: number }): boolean {
    return this.rows === with_.rows && this.digestLow === with_.digestLow && this.digestHigh === with_.digestHigh
  }
}
