/**
 * One sorted table of LevelDB, every byte of it held against the checksums that LevelDB wrote and does not verify here
 * (doc/table_format.md). Its blocks must lie side by side, from the first byte to the footer, so that nothing is left out.
 */
import { isChecked, LevelBytes, u32 } from './levelbytes.js'
import { unpackSnappy } from './snappy.js'

const FOOTER_BYTES = 48
const MAGIC_BYTES = 8
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
/** Behind each block: how it is packed, and its checksum. */
const TRAILER_BYTES = 5
const PLAIN = 0
const SNAPPY = 1
/** Of a table's index. LevelDB's tables have 2 MiB, rarely some ten times that; their indexes a hundredth of it. */
const INDEX_BYTES_MAX = 268_435_456

interface Place {
  readonly from: number
  readonly to: number
}

/** What is wrong with the table in `bytes[0, length)`, or null. */
export function tableDamage(bytes: Uint8Array, length: number): string | null {
  try {
    return damageOf(bytes, length)
  } catch (error) {
    if (error instanceof RangeError) return `its index cannot be read: ${error.message}`
    throw error
  }
}

function damageOf(bytes: Uint8Array, length: number): string | null {
  const footer = length - FOOTER_BYTES
  if (footer < 0) return 'it is too short'
  const magic = length - MAGIC_BYTES
  if (MAGIC.compare(bytes, magic, length) !== 0) return 'its end is not that of a table'
  const handles = new LevelBytes(bytes, footer, magic)
  const [meta, index] = [placeOf(handles), placeOf(handles)]
  for (let at = handles.at; at < magic; at += 1) if (bytes[at] !== 0) return 'its footer is not as it was written'
  // Who says where the other blocks are comes first.
  for (const place of [meta, index]) if (!isIntact(bytes, place, footer)) return broken(place)
  const others = [...places(bytes, index), ...places(bytes, meta)]
  let next = 0
  for (const place of others) {
    if (place.from !== next) return `its blocks do not follow each other at ${next}`
    if (!isIntact(bytes, place, footer)) return broken(place)
    next = place.to + TRAILER_BYTES
  }
  const whole = meta.from === next && index.from === meta.to + TRAILER_BYTES && index.to + TRAILER_BYTES === footer
  return whole ? null : `its blocks do not follow each other at ${next}`
}

function broken({ from }: Place): string {
  return `its block at ${from} fails its checksum`
}

function placeOf(bytes: LevelBytes): Place {
  const from = bytes.varint()
  return { from, to: from + bytes.varint() }
}

function isIntact(bytes: Uint8Array, { from, to }: Place, end: number): boolean {
  return to + TRAILER_BYTES <= end && isChecked(bytes, from, to + 1, to + 1)
}

/** The places that a block of an index, known to be intact, names. */
function* places(bytes: Uint8Array, { from, to }: Place): Generator<Place> {
  const packing = bytes[to]
  if (packing !== PLAIN && packing !== SNAPPY) throw new RangeError(`packing ${packing} is unknown`)
  const stored = bytes.subarray(from, to)
  const block = packing === SNAPPY ? unpackSnappy(stored, INDEX_BYTES_MAX) : stored
  if (block.length < 4) throw new RangeError('a block ends early')
  const restarts = u32(block, block.length - 4)
  const rows = new LevelBytes(block, 0, block.length - 4 - 4 * restarts)
  while (!rows.done) {
    // A row: how much of the last key it shares, the rest of its key, its value.
    rows.varint()
    const [keyBytes, valueBytes] = [rows.varint(), rows.varint()]
    rows.skip(keyBytes)
    const value = rows.at
    yield placeOf(rows)
    if (rows.at !== value + valueBytes) throw new RangeError('a value is not a place')
  }
}
