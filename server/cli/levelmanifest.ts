/**
 * Which tables a LevelDB consists of, as its manifest says (doc/log_format.md, and the tags of db/version_edit.cc). Others may lie beside
 * them, half written when a process was killed: LevelDB removes those, and they must not be judged.
 */
import { isChecked, LevelBytes } from './levelbytes.js'

const BLOCK_BYTES = 32_768
const HEAD_BYTES = 7
const FULL = 1
const FIRST = 2
const LAST = 4

const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9,
} as const

/** Numbers of the live tables, with their bytes. What follows a damaged record is not looked at: LevelDB refuses, or leaves it out, too. */
export function liveTables(manifest: Uint8Array): ReadonlyMap<number, number> {
  const tables = new Map<number, number>()
  for (const record of records(manifest)) {
    try {
      applyEdit(record, tables)
    } catch (error) {
      if (error instanceof RangeError) return tables
      throw error
    }
  }
  return tables
}

function* records(log: Uint8Array): Generator<Uint8Array> {
  let parts: Uint8Array[] = []
  for (let at = 0; at + HEAD_BYTES <= log.length; ) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEAD_BYTES) {
      at += left
      continue
    }
    const length = log[at + 4]! | (log[at + 5]! << 8)
    const type = log[at + 6]!
    const end = at + HEAD_BYTES + length
    if (length + HEAD_BYTES > left || end > log.length || !isChecked(log, at + 6, end, at)) return
    if (type === FULL || type === FIRST) parts = []
    parts.push(log.subarray(at + HEAD_BYTES, end))
    if (type === FULL || type === LAST) yield Buffer.concat(parts)
    at = end
  }
}

/** Throws RangeError where the record is none. */
function applyEdit(record: Uint8Array, tables: Map<number, number>): void {
  const bytes = new LevelBytes(record)
  while (!bytes.done) {
    const tag = bytes.varint()
    switch (tag) {
      case TAG.comparator:
        bytes.skipCounted()
        break
      case TAG.logNumber:
      case TAG.nextFile:
      case TAG.lastSequence:
      case TAG.previousLog:
        bytes.varint()
        break
      case TAG.compactPointer:
        bytes.varint()
        bytes.skipCounted()
        break
      case TAG.deletedFile:
        bytes.varint()
        tables.delete(bytes.varint())
        break
      case TAG.newFile:
        bytes.varint()
        tables.set(bytes.varint(), bytes.varint())
        bytes.skipCounted()
        bytes.skipCounted()
        break
      default:
        throw new RangeError(`tag ${tag} is unknown`)
    }
  }
}
