/**
 * The side file: term, vote and flush number, beside the volume, so that a lost tail of the volume is noticed. Written
 * after a batch has synced and before anything of it is acknowledged: it never runs ahead of the volume.
 *
 * Two slots. A change of term or vote is fsynced into the slot that was not fsynced last; the writes in between are not
 * synced, and all go to the other slot. So the slot that was fsynced last is never overwritten before the next is fsynced.
 */
import type { Disk, Slots } from '../ports/index.js'
import { getU32, putU32, putU64, Reader, Writer } from './bytes.js'
import { crc32c } from './crc32c.js'
import { SIDE_FILE } from './files.js'
import { Damage } from './refusal.js'

/** A disk writes a sector as a whole. */
const SLOT_BYTES = 512
const SLOTS = 2
/** Behind the checksum and the word on its sync. */
const FLUSH_AT = 5

export interface SideRecord {
  readonly flush: number
  readonly term: number
  readonly votedFor: string | null
}

function encodeSlot(record: SideRecord, synced: boolean): Uint8Array {
  const writer = new Writer(SLOT_BYTES)
  writer.u32(0)
  writer.u8(synced ? 1 : 0)
  writer.u64(record.flush)
  writer.u64(record.term)
  writer.u8(record.votedFor === null ? 0 : 1)
  writer.text(record.votedFor ?? '')
  if (writer.length > SLOT_BYTES) throw new RangeError('the vote does not fit the side file')
  const bytes = new Uint8Array(SLOT_BYTES)
  bytes.set(writer.view(0))
  putU32(bytes, 0, crc32c(bytes, 4))
  return bytes
}

function decodeSlot(bytes: Uint8Array): (SideRecord & { synced: boolean }) | null {
  if (bytes.length !== SLOT_BYTES || getU32(bytes, 0) !== crc32c(bytes, 4) >>> 0) return null
  const reader = new Reader(bytes.subarray(4))
  const synced = reader.u8() === 1
  const flush = reader.u64()
  const term = reader.u64()
  const voted = reader.u8() === 1
  const vote = reader.text()
  return { flush, term, votedFor: voted ? vote : null, synced }
}

/** The newest record of a side file's bytes. Throws Damage where no slot verifies. */
export function readSide(bytes: Uint8Array): SideRecord & { slot: number; synced: boolean } {
  if (bytes.length !== SLOTS * SLOT_BYTES) throw new Damage(`The file "${SIDE_FILE}" has a wrong length.`)
  let newest: (SideRecord & { slot: number; synced: boolean }) | null = null
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const record = decodeSlot(bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES))
    if (record !== null && (newest === null || record.flush > newest.flush)) newest = { ...record, slot }
  }
  if (newest === null) throw new Damage(`The file "${SIDE_FILE}" fails its checksums.`)
  return newest
}

export class SideFile {
  readonly #slots: Slots
  /** The slot that unsynced writes go to. */
  #scratch: number
  /** What was written unsynced last, and its bytes: mostly the flush number alone is another one the next time. */
  #last: SideRecord | null = null
  #bytes: Uint8Array = new Uint8Array(SLOT_BYTES)

  private constructor(slots: Slots, scratch: number) {
    this.#slots = slots
    this.#scratch = scratch
  }

  /** Makes the file of a new directory, both slots synced. */
  static async create(disk: Disk, record: SideRecord): Promise<void> {
    const slot = encodeSlot(record, true)
    const initial = new Uint8Array(SLOTS * SLOT_BYTES)
    for (let at = 0; at < SLOTS; at += 1) initial.set(slot, at * SLOT_BYTES)
    await disk.replaceFile(SIDE_FILE, initial)
  }

  /** Opens the file and reads its newest record. Throws Damage. */
  static async open(disk: Disk): Promise<{ side: SideFile; record: SideRecord }> {
    const slots = await disk.openSlots(SIDE_FILE, { create: false, initial: new Uint8Array(SLOTS * SLOT_BYTES) })
    try {
      const record = readSide(await slots.read())
      return { side: new SideFile(slots, record.synced ? 1 - record.slot : record.slot), record }
    } catch (error) {
      await slots.close()
      throw error
    }
  }

  /** `sync` where term or vote have changed. Null where it is done already; one at a time. */
  write(record: SideRecord, sync: boolean): Promise<void> | null {
    if (sync) return this.#writeSynced(record)
    return this.#slots.write(this.#scratch * SLOT_BYTES, this.#encode(record), { sync })
  }

  async #writeSynced(record: SideRecord): Promise<void> {
    await this.#slots.write(this.#scratch * SLOT_BYTES, encodeSlot(record, true), { sync: true })
    this.#scratch = 1 - this.#scratch
  }

  #encode(record: SideRecord): Uint8Array {
    const last = this.#last
    if (last === null || last.term !== record.term || last.votedFor !== record.votedFor) {
      this.#bytes = encodeSlot(record, false)
    } else {
      putU64(this.#bytes, FLUSH_AT, record.flush)
      putU32(this.#bytes, 0, crc32c(this.#bytes, 4))
    }
    this.#last = record
    return this.#bytes
  }

  async close(): Promise<void> {
    await this.#slots.close()
  }
}

/** What is written of a batch's marker. */
export function sideOf({ flush, term, votedFor }: SideRecord): SideRecord {
  return { flush, term, votedFor }
}
