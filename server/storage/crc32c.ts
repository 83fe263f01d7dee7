/**
 * CRC-32C (Castagnoli), the checksum of every row, record and file. Eight tables, eight bytes a step
 * (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators", 2005).
 * LevelDB does not verify its own checksums on reads, so this one must be, every time.
 */

const POLYNOMIAL = 0x82f63b78
const SLICES = 8

function buildTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let slice = 1; slice < SLICES; slice += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const before = tables[(slice - 1) * 256 + byte]!
      tables[slice * 256 + byte] = (before >>> 8) ^ tables[before & 255]!
    }
  }
  return tables
}

const TABLES = buildTables()

/** Checksum of `bytes[from, to)` as a signed 32-bit integer. `before` continues the checksum of what stood in front. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, before = 0): number {
  const t = TABLES
  let crc = ~before
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    crc =
      t[1792 + (low & 255)]! ^
      t[1536 + ((low >>> 8) & 255)]! ^
      t[1280 + ((low >>> 16) & 255)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 255]!
  return ~crc
}
