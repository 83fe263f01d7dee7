/**
 * The hash chain of the audit: hash = SHA-256(previous hash || canonical bytes of the event), event by event, so that
 * anybody can verify a page in any language. The first event's previous hash is 32 zero bytes.
 */
import { hash } from 'node:crypto'
import { type AuditEvent, eventBytes } from '@leasehold/protocol'

export const HASH_BYTES = 32
export const NO_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Walks a chain: holds the last hash, and moves on event by event. */
export class Chain {
  #scratch = Buffer.alloc(HASH_BYTES + 1_024)
  /** The last hash in lower-case hex. */
  head: string

  constructor(head: string) {
    this.head = head
    this.#scratch.write(head, 0, 'hex')
  }

  /** Moves on by an event, given in its canonical bytes. Returns its hash in hex. */
  add(canonical: Uint8Array): string {
    const length = HASH_BYTES + canonical.length
    if (length > this.#scratch.length) {
      const larger = Buffer.alloc(length * 2)
      this.#scratch.copy(larger, 0, 0, HASH_BYTES)
      this.#scratch = larger
    }
    this.#scratch.set(canonical, HASH_BYTES)
    this.head = hash('sha256', this.#scratch.subarray(0, length), 'hex')
    this.#scratch.write(this.head, 0, 'hex')
    return this.head
  }

  addEvent(event: AuditEvent): string {
    return this.add(eventBytes(event))
  }
}

export const NO_HASH_HEX = hexOf(NO_HASH)
