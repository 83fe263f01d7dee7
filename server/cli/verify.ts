/**
 * Recomputes the audit's hash chain from what readers get, and believes nothing that it has not recomputed itself:
 * hash = SHA-256(previous hash, canonical bytes of the event). No I/O.
 */
import { createHash } from 'node:crypto'
import { eventBytes } from '@leasehold/protocol'
import { chainedEvent, type EventBody } from './events.js'

/** What the first event of a cluster's life is chained to. */
const GENESIS = '0'.repeat(64)

export class ChainCheck {
  events = 0
  firstSeq = 0
  lastSeq = 0
  lastHash = ''
  /** The hash that the oldest kept event builds on, where older ones were trimmed; it has to be taken on trust. */
  anchor: string | null = null
  broken: { readonly seq: number; readonly why: string } | null = null

  /** Takes the next event in order; false once the chain is broken. */
  add(event: EventBody): boolean {
    if (this.broken !== null) return false
    const why = this.#fault(event)
    if (why !== null) {
      this.broken = { seq: event.seq, why }
      return false
    }
    if (this.events === 0) {
      this.firstSeq = event.seq
      if (event.seq > 1) this.anchor = event.previousHash
    }
    this.events += 1
    this.lastSeq = event.seq
    this.lastHash = event.hash
    return true
  }

  #fault(event: EventBody): string | null {
    if (this.events > 0 && event.seq !== this.lastSeq + 1) return `seq ${this.lastSeq + 1} is missing`
    if (this.events > 0 && event.previousHash !== this.lastHash) return 'it does not build on the event before it'
    if (this.events === 0 && event.seq === 1 && event.previousHash !== GENESIS)
      return 'the first event builds on another'
    const recomputed = chainHash(event)
    return recomputed === event.hash ? null : `its hash is ${event.hash}, recomputed ${recomputed}`
  }
}

function chainHash(event: EventBody): string {
  try {
    const previous = Buffer.from(event.previousHash, 'hex')
    return createHash('sha256')
      .update(previous)
      .update(eventBytes(chainedEvent(event)))
      .digest('hex')
  } catch (error) {
    return `impossible (${(error as Error).message})`
  }
}
