/**
 * Renewals: one at a time per grant, all that are asked for in one turn of the loop in one frame, and only because
 * somebody used the grant. Never starts one by itself, and never faster than the budget of renewals allows.
 */
import { type GrantedFields, type LossReason, OK, OP } from '@leasehold/protocol'
import { onAbort } from './abort.js'
import { grantError } from './ask.js'
import { Call } from './call.js'
import type { Core } from './core.js'
import { aborted, type LeaseholdError } from './errors.js'
import type { Grant } from './grant.js'
import { backoffMs } from './retry.js'
import type { Mark } from './validity.js'

/** One renewal, all its attempts; or the claim of an offer, which is the same. */
export class Renewal extends Call {
  override readonly op = OP.renew
  override readonly renewal = true
  readonly #core: Core
  readonly #grant: Grant
  #promise: Promise<void> | null = null
  #resolve: (() => void) | null = null
  #reject: ((error: LeaseholdError) => void) | null = null

  constructor(core: Core, grant: Grant) {
    super()
    this.#core = core
    this.#grant = grant
    this.holds = false
  }

  /** Resolves once renewed. Who waits keeps the process alive. */
  wait(): Promise<void> {
    if (this.#promise === null) {
      this.#core.calls.setHolds(this, true)
      this.#promise = new Promise((resolve, reject) => {
        this.#resolve = resolve
        this.#reject = reject
      })
    }
    return this.#promise
  }

  override fields(): readonly unknown[] {
    return [this.#grant.is.name, this.#grant.is.token]
  }

  /** GrantedFields or LostFields: only remainingMs counts, of this attempt's own stamp. */
  override answered(code: number, fields: readonly unknown[], mark: Mark): void {
    const grant = this.#grant
    grant.renewal = null
    if (code === OK) {
      grant.renewed(mark, fields as GrantedFields)
      grant.lost === null ? this.#resolve?.() : this.#reject?.(grant.lost)
      return
    }
    const error = grantError(grant.is.name, code, fields)
    if (error.code === 'LEASE_LOST') grant.lose(fields[1] as LossReason)
    this.#reject?.(grant.lost ?? error)
  }

  /** The grant has ended: whoever waits is told now, whatever may still be answered. */
  abandon(): void {
    this.#core.calls.withdraw(this)
    this.#reject?.(this.#grant.lost!)
  }

  override failed(error: LeaseholdError): void {
    const { clocks, session } = this.#core
    const grant = this.#grant
    grant.renewal = null
    grant.failures++
    grant.notBeforeMs = clocks.monotonicMs() + backoffMs(session.seed, grant.is.token | 0, grant.failures)
    this.#reject?.(error)
  }
}

/** Joins the renewal under way, or starts one; its deadline is the client's timeout, or the local end if that comes first. */
export function renewal(core: Core, grant: Grant, leftMs: number): Renewal {
  if (grant.renewal !== null) return grant.renewal
  const call = new Renewal(core, grant)
  grant.renewal = call
  const nowMs = core.clocks.monotonicMs()
  const startMs = grant.failures === 0 ? 0 : Math.max(grant.notBeforeMs, nowMs)
  core.calls.submit(call, nowMs + Math.min(core.timeoutMs, leftMs), startMs)
  return call
}

/**
 * Claims a grant that nobody here has used yet (an offer, one whose answer came late, one resumed by its token): a renewal
 * whose validity counts from its own sending. Resolves with the grant, usable. When the signal fires, ABORTED; the
 * claim may still succeed then, and whoever asked gives it back.
 */
export async function claim(
  core: Core,
  grant: Grant,
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<Grant> {
  const call = new Renewal(core, grant)
  grant.renewal = call
  const claimed = call.wait()
  core.calls.submit(call, core.clocks.monotonicMs() + withinMs)
  await unlessAborted(claimed, signal)
  if (!grant.usable) throw grant.expired()
  return grant
}

/** What `wait` comes to, unless the signal fires first: then ABORTED, and the renewal goes on without this waiter. */
export function unlessAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return wait
  if (signal.aborted) {
    wait.catch(() => {})
    return Promise.reject(aborted(signal, 'unknown'))
  }
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(aborted(signal, 'unknown')))
    wait.then(
      () => {
        stop()
        resolve()
      },
      (error: unknown) => {
        stop()
        reject(error)
      },
    )
  })
}
