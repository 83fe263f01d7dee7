/**
 * Who counts on which grant, and until when, in true time: by each client's own clock and its rules, from the answers that
 * have reached it. At most one holder a name, and no grant ends while its holder may count on it.
 */
import type { AuditEvent } from '@leasehold/protocol'
import type { Claims } from './claim.js'
import type { Scheduler } from './scheduler.js'

interface Belief {
  readonly token: number
  readonly name: string
  readonly client: string
  /** True time. */
  untilMs: number
  /** Its holder has asked to end it, or an operator did: it counts on it no more. */
  quit: boolean
}

export class Holders {
  /** How often somebody had a grant to count on. */
  beliefs = 0
  readonly #scheduler: Scheduler
  readonly #claims: Claims
  readonly #byToken = new Map<number, Belief>()
  readonly #byName = new Map<string, Belief>()
  /** Ends by time, by token: when they were first applied anywhere. */
  readonly #expiredMs = new Map<number, number>()
  readonly #revoked = new Set<number>()

  constructor(scheduler: Scheduler, claims: Claims) {
    this.#scheduler = scheduler
    this.#claims = claims
  }

  /** An answer has reached its client: the grant counts until then. */
  granted(client: string, name: string, token: number, untilMs: number): void {
    const nowMs = this.#scheduler.nowMs
    if (this.#revoked.has(token) || untilMs <= nowMs) return
    let belief = this.#byToken.get(token)
    if (belief === undefined) {
      belief = { token, name, client, untilMs, quit: false }
      this.#byToken.set(token, belief)
    }
    this.#claims.hold(
      belief.client === client && belief.name === name,
      () => `token ${token} is of ${belief.client} for ${belief.name} and of ${client} for ${name}`,
    )
    if (belief.quit) return
    belief.untilMs = Math.max(belief.untilMs, untilMs)
    this.beliefs++
    const expiredMs = this.#expiredMs.get(token) ?? Number.POSITIVE_INFINITY
    this.#claims.hold(
      expiredMs >= belief.untilMs,
      () => `early end: ${name} under ${token} expired at ${expiredMs}, its holder may count on it until ${untilMs}`,
    )
    const other = this.#byName.get(name)
    if (other !== undefined && other !== belief && !other.quit && other.untilMs > nowMs)
      this.#claims.broken(
        `two holders: ${name} under ${other.token} of ${other.client} until ${other.untilMs}, and under ${token} of ${client}`,
      )
    if (other === undefined || other.token < token || other.untilMs <= nowMs) this.#byName.set(name, belief)
  }

  /** The client counts on it no more, from before it says so to anybody. */
  quit(token: number): void {
    const belief = this.#byToken.get(token)
    if (belief !== undefined) belief.quit = true
  }

  counts(token: number): boolean {
    const belief = this.#byToken.get(token)
    return belief !== undefined && !belief.quit && belief.untilMs > this.#scheduler.nowMs
  }

  /** An event of the audit was applied for the first time. */
  event(event: AuditEvent): void {
    const { token, type, name } = event
    const belief = this.#byToken.get(token)
    if (type === 'revoked') {
      this.#revoked.add(token)
      if (belief !== undefined) belief.quit = true
    }
    if (type !== 'expired') return
    const nowMs = this.#scheduler.nowMs
    this.#expiredMs.set(token, nowMs)
    if (belief !== undefined && !belief.quit && belief.untilMs > nowMs)
      this.#claims.broken(
        `early end: ${name} under ${token} expired while its holder may count on it until ${belief.untilMs}`,
      )
  }
}
