/**
 * The layout of keys in the volume. All rows of a directory stand under one live prefix, a byte; one row in front of them
 * names it. So a snapshot can be staged under another prefix, and switched over by that one row.
 *
 *   00 'L'                          the live prefix
 *   live 'i'                        identity (again: the file beside the volume must agree)
 *   live 'm'                        marker, in every batch
 *   live 'e' index                  log entries
 *   live 's' table 00 key           state rows
 *   live 'a' first seq              audit segments
 *   live 'f' first seq              fingerprints: which names a run of segments mentions
 */
import { getU64, putU64 } from './bytes.js'

export const LIVE_KEY: Uint8Array = Buffer.from([0x00, 0x4c])
/** The live prefix of a new directory. */
export const FIRST_LIVE = 1

export const KIND = { identity: 0x69, marker: 0x6d, entry: 0x65, state: 0x73, segment: 0x61, block: 0x66 } as const

export type SeqKind = typeof KIND.entry | typeof KIND.segment | typeof KIND.block
export const SEQ_KEY_BYTES = 10

export function plainKey(live: number, kind: number): Uint8Array {
  return Buffer.from([live, kind])
}

/** Of an entry (by index), a segment or a block (by first seq). */
export function seqKey(live: number, kind: SeqKind, seq: number): Uint8Array {
  const key = Buffer.allocUnsafeSlow(SEQ_KEY_BYTES)
  key[0] = live
  key[1] = kind
  putU64(key, 2, seq)
  return key
}

export function seqOfKey(key: Uint8Array): number {
  return getU64(key, 2)
}

/** What stands in front of the keys of a table's rows. */
export function tablePrefix(live: number, table: string): Uint8Array {
  if (table === '' || table.includes('\0')) throw new RangeError(`"${table}" cannot name a table`)
  return Buffer.concat([Buffer.from([live, KIND.state]), Buffer.from(table, 'utf8'), Buffer.from([0])])
}

/** First key after all keys of a kind. */
export function kindEnd(live: number, kind: number): Uint8Array {
  return Buffer.from([live, kind + 1])
}
