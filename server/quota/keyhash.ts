/**
 * Keys as numbers, the same on every member: where a key stands in a sketch, and how members name the keys that have buckets. Two keys may
 * have the same hash, also because somebody looked for such: nothing may be denied by a hash alone.
 */

/** Two multiplicative lanes over the UTF-16 code units, each finished as MurmurHash3's are (Appleby). Reused: read before the next call. */
export class KeyHash {
  /** 32 bits each, unsigned. */
  high = 0
  low = 0

  of(key: string, seed: number): this {
    let high = seed ^ 0x9e3779b9
    let low = Math.imul(seed, 0x85ebca6b) ^ key.length
    for (let at = 0; at < key.length; at++) {
      const unit = key.charCodeAt(at)
      high = Math.imul(high ^ unit, 0xcc9e2d51)
      high ^= high >>> 15
      low = Math.imul(low ^ unit, 0x1b873593)
      low ^= low >>> 13
    }
    this.high = finished(high ^ (low << 7)) >>> 0
    this.low = finished(low ^ this.high) >>> 0
    return this
  }

  /** 53 bits of it. */
  get whole(): number {
    return (this.high & 0x1fffff) * 0x1_0000_0000 + this.low
  }
}

function finished(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
