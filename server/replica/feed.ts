/**
 * The live feed of changes: committed events, in the order of the history, to whoever subscribed. The feed never
 * queues: a subscriber takes what it is handed, and one that throws (because it lags, say) is dropped and told.
 */
import type { ChainedEvent, FencingToken } from '@leasehold/protocol'
import { LIMITS, ProtocolError } from '@leasehold/protocol'
import type { Revocation } from '../machine/index.js'
import type { Telemetry } from '../ports/index.js'
import { REPLICA_LIMITS } from './limits.js'
import type { Subscriber } from './replica.js'

export type RevokedListener = (principal: string, name: string, token: FencingToken, reason: string) => void

export class Feed {
  readonly #telemetry: Telemetry
  readonly #subscribers = new Set<Subscriber>()
  readonly #listeners = new Set<RevokedListener>()

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
  }

  get size(): number {
    return this.#subscribers.size
  }

  /** Throws LIMIT_REACHED. */
  subscribe(subscriber: Subscriber): () => void {
    if (this.#subscribers.size >= REPLICA_LIMITS.subscribersMax)
      throw new ProtocolError('LIMIT_REACHED', `at most ${REPLICA_LIMITS.subscribersMax} watches at one member`)
    // A wrapper of its own, so that subscribing twice means being told twice, and each stops for itself.
    const own: Subscriber = {
      events: (events) => subscriber.events(events),
      dropped: (error) => subscriber.dropped?.(error),
    }
    this.#subscribers.add(own)
    return () => void this.#subscribers.delete(own)
  }

  onRevoked(listener: RevokedListener): () => void {
    const own: RevokedListener = (...told) => listener(...told)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  publish(events: readonly ChainedEvent[]): void {
    if (this.#subscribers.size === 0) return
    for (let at = 0; at < events.length; at += LIMITS.pageMax) {
      const page = events.length <= LIMITS.pageMax ? events : events.slice(at, at + LIMITS.pageMax)
      for (const subscriber of this.#subscribers) {
        try {
          subscriber.events(page)
        } catch (error) {
          this.#drop(subscriber, error)
        }
      }
    }
  }

  /** The audit's event names who revoked; who had the grant is to be told. */
  tell(revocations: readonly Revocation[]): void {
    for (const revocation of revocations) this.#tell(revocation)
  }

  /** Changes were missed: whoever follows them must take them up anew. */
  interrupt(reason: string): void {
    for (const subscriber of [...this.#subscribers]) this.#drop(subscriber, new Error(reason))
  }

  close(): void {
    this.#subscribers.clear()
    this.#listeners.clear()
  }

  #drop(subscriber: Subscriber, cause: unknown): void {
    this.#subscribers.delete(subscriber)
    const error = cause instanceof Error ? cause : new Error(String(cause))
    this.#telemetry.log('warn', 'subscriber dropped', { reason: error.message })
    try {
      subscriber.dropped?.(error)
    } catch (again) {
      this.#telemetry.log('warn', 'subscriber failed while dropped', { reason: String(again) })
    }
  }

  #tell({ principal, name, token, reason }: Revocation): void {
    for (const listener of this.#listeners) {
      try {
        listener(principal, name, token, reason)
      } catch (error) {
        this.#telemetry.log('warn', 'revocation listener failed', { reason: String(error) })
      }
    }
  }
}
