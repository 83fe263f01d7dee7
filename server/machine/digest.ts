/**
 * A digest of a request's parameters, to tell a retry from another request under the same token. It guards against
 * mistakes, not against malice: whoever owns the token may as well send another request under another token. Two
 * 32-bit lanes, each a multiply-xor walk over the UTF-16 units with its own odd multiplier (after FNV-1a), mixed at
 * the end so that every bit counts; 53 bits of them are kept, so that the digest is a whole number.
 */

const LANE_A = 0x01000193
const LANE_B = 0x5bd1e995

/** Final mix of one lane (the avalanche step of Appleby's MurmurHash3). */
function mixed(lane: number): number {
  let h = lane ^ (lane >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Of an ordered list of fields; null, '' and 0 differ, and so do neighbours that share their text differently. */
export function digestOf(fields: readonly (string | number | null)[]): number {
  let a = 0x811c9dc5 | 0
  let b = 0x2545f491 | 0
  for (const field of fields) {
    const tag = field === null ? 0 : typeof field === 'number' ? 1 : 2
    const text = field === null ? '' : String(field)
    a = Math.imul(a ^ ((text.length << 2) | tag), LANE_A)
    b = Math.imul(b ^ ((text.length << 2) | tag), LANE_B)
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      a = Math.imul(a ^ unit, LANE_A)
      b = Math.imul(b ^ unit, LANE_B) + (a >>> 15)
    }
  }
  return (mixed(a) & 0x1fffff) * 2 ** 32 + mixed(b ^ a)
}
