/**
 * Who a data directory belongs to. Written when the directory is formed, as a file and as a row of the volume; the two must
 * agree, so that files of different directories are never mixed. A directory whose forming was cut short says so in its
 * file: nothing was ever promised in it, and it may be formed again. So does one whose restoring was.
 */
import { getU32, putU32, Reader, Writer } from './bytes.js'
import { crc32c } from './crc32c.js'
import { FORMAT } from './files.js'
import { Damage, StorageRefusal } from './refusal.js'
import type { Identity } from './store.js'
import { endRecord, readVersion, writeVersion } from './version.js'

const MAGIC = 'leasehold'

/** `unfinished`: a restore or a recovery writes into the directory; nothing may be formed in it, nor served from it, before it is done. */
export type IdentityState = 'forming' | 'formed' | 'unfinished'
const STATES: readonly IdentityState[] = ['forming', 'formed', 'unfinished']

export interface IdentityRecord extends Identity {
  readonly state: IdentityState
  /** No token at or below it may be granted: raised by each accepted loss and restore. 0 where there was none. */
  readonly tokenFloor: number
}

export function encodeIdentity(identity: IdentityRecord): Uint8Array {
  const writer = new Writer(256)
  writer.u32(0)
  writer.text(MAGIC)
  writeVersion(writer, FORMAT)
  writer.u8(STATES.indexOf(identity.state))
  writer.text(identity.clusterId)
  writer.text(identity.memberId)
  writer.text(identity.directoryId)
  writer.u64(identity.tokenFloor)
  const bytes = Uint8Array.from(writer.view(0))
  putU32(bytes, 0, crc32c(bytes, 4))
  return bytes
}

/** Throws StorageRefusal: DAMAGED, or NEWER_VERSION. */
export function decodeIdentity(bytes: Uint8Array): IdentityRecord {
  if (bytes.length < 4 || getU32(bytes, 0) !== crc32c(bytes, 4) >>> 0) {
    throw new StorageRefusal('DAMAGED', 'The identity of the data directory fails its checksum.')
  }
  const reader = new Reader(bytes.subarray(4))
  if (reader.text() !== MAGIC) throw new Damage('The identity of the data directory is of another kind.')
  const format = readVersion(reader, FORMAT, 'The data directory')
  const identity = {
    format,
    state: stateOf(reader.u8()),
    clusterId: reader.text(),
    memberId: reader.text(),
    directoryId: reader.text(),
    tokenFloor: reader.u64(),
  }
  endRecord(reader, format, FORMAT)
  return identity
}

function stateOf(code: number): IdentityState {
  const state = STATES[code]
  if (state === undefined) throw new Damage('The identity of the data directory is in no state that is known.')
  return state
}

export function sameIdentity(a: IdentityRecord, b: IdentityRecord): boolean {
  return (
    a.clusterId === b.clusterId &&
    a.memberId === b.memberId &&
    a.directoryId === b.directoryId &&
    a.tokenFloor === b.tokenFloor
  )
}
