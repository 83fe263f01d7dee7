/**
 * A lease in the hands of its holder. Checks are local and cost two readings of a clock; a renewal happens because
 * somebody used the lease. Never renews in the background, and is marked ended before anything that ends it is sent.
 */
import {
  checkName,
  type Duration,
  durationMs,
  ERRORS,
  LIMITS,
  type LossReason,
  OK,
  OP,
  type TransferredFields,
} from '@leasehold/protocol'
import { ask, grantError, outcomeError } from './ask.js'
import type { Core } from './core.js'
import { cachedDurationMs, knownDurationMs } from './deadline.js'
import { Drain } from './drain.js'
import { aborted, LeaseholdError, LeaseLostError, NotTransferredError, refusedHere } from './errors.js'
import type { Grant } from './grant.js'
import { renewal, unlessAborted } from './renewals.js'
import type { HandoverOptions, WaitOptions } from './types.js'
import { validityMs } from './validity.js'

const DONE: Promise<void> = Promise.resolve()
const DRAIN_MS = 10_000
/** `await using` waits no longer than this for the release. */
const DISPOSE_MS = 2_000
/** Ends that the cluster has told, after which a release has nothing left to end. */
const ENDED_THERE: ReadonlySet<LossReason> = new Set(['released', 'revoked', 'transferred', 'superseded', 'unknown'])

export class Lease implements AsyncDisposable {
  readonly #core: Core
  readonly #grant: Grant
  readonly #drain: Drain
  readonly #fullMs: number
  #released: Promise<boolean> | null = null
  #handover: Promise<boolean> | null = null

  /** Made by acquire(). */
  constructor(core: Core, grant: Grant) {
    this.#core = core
    this.#grant = grant
    this.#drain = new Drain(core)
    this.#fullMs = validityMs(grant.is.ttlMs, core.drift)
    core.grants.add(grant)
  }

  get name(): string {
    return this.#grant.is.name
  }
  /** The fencing token: grows with every grant of the cluster. Send it along with whatever the lease protects. */
  get token(): number {
    return this.#grant.is.token
  }
  get holder(): string {
    return this.#grant.is.holder
  }
  get meta(): string | null {
    return this.#grant.is.meta
  }
  get ttlMs(): number {
    return this.#grant.is.ttlMs
  }
  /** Why it has ended, or null while it has not, as far as a check has found. Checks nothing itself. */
  get lost(): LossReason | null {
    return this.#grant.lossReason
  }

  /** Whole milliseconds for which the lease may still be relied on; 0 once it is lost. Local; never throws. */
  remainingMs(): number {
    return this.#grant.remainingMs()
  }

  /** Throws LeaseLostError when lost, or when less than `min` is left. Local. */
  assert(min?: Duration): void {
    const leftMs = this.#grant.remainingMs()
    if (this.#grant.lost !== null) throw this.#grant.lost
    if (min !== undefined && leftMs < this.#minMs(min)) throw new LeaseLostError(this.name, this.token, 'expired', 'no')
  }

  /**
   * Resolves once at least `min` (1 ms by default) of the lease is left. Enough left: at once, with no I/O; less than half
   * the ttl left: renews alongside. Not enough: waits for the renewal. Rejects with LeaseLostError, ABORTED, or, while
   * the lease is not lost yet, with what kept the renewal from its answer.
   */
  ensure(min: Duration = 1, options?: Pick<WaitOptions, 'signal'>): Promise<void> {
    const minMs = knownDurationMs(min)
    const leftMs = this.#grant.remainingMs()
    if (leftMs > 0 && minMs >= 0 && leftMs >= minMs) return this.#enough(leftMs)
    return this.#ensure(min, options)
  }

  /** Renews now, whatever is left; joins a renewal under way. Rejects as ensure() does. */
  renew(options?: Pick<WaitOptions, 'signal'>): Promise<void> {
    const leftMs = this.#grant.remainingMs()
    if (this.#grant.lost !== null) return Promise.reject(this.#grant.lost)
    return unlessAborted(renewal(this.#core, this.#grant, leftMs).wait(), options?.signal)
  }

  /** Fires when the lease is lost, or ended here; one timer stands for the local end. Its reason is the LeaseLostError. */
  lostSignal(): AbortSignal {
    return this.#grant.lossSignal()
  }

  /** Counts as work in flight until disposed (once). Throws LeaseLostError when lost, and when a handover has begun. */
  hold(): Disposable {
    this.assert()
    if (this.#drain.closed) throw new LeaseholdError('CLOSED', `${this.name} is being handed over`, { executed: 'no' })
    this.#drain.enter()
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) this.#drain.leave()
        held = false
      },
    }
  }

  /** Runs work that a handover waits for. Throws what hold() throws, or what the work throws. */
  async run<T>(work: (signal: AbortSignal) => Promise<T> | T): Promise<T> {
    const hold = this.hold()
    try {
      return await work(this.lostSignal())
    } finally {
      hold[Symbol.dispose]()
    }
  }

  /**
   * Gives the lease back. It has ended here from the call on. True: it was this holder's until now; false: it had
   * already ended. Repeating it gives the same answer. Rejects with a LeaseholdError where that cannot be learned.
   */
  release(options?: WaitOptions): Promise<boolean> {
    if (this.#released === null) {
      const reason = this.#grant.lossReason
      this.#grant.lose('released')
      if (reason !== null && ENDED_THERE.has(reason)) this.#released = Promise.resolve(false)
      else {
        const released = this.#release(options)
        this.#released = released
        // A release that failed may be tried again.
        released.catch(() => {
          this.#released = null
        })
      }
    }
    return this.#released
  }

  /**
   * Hands the lease to the one who waits under the holder name `to`. It has ended here from the call on. Where nobody
   * waits so: NotTransferredError, with the lease that the cluster kept. LeaseLostError where it had already ended.
   */
  async transfer(to: string, options?: WaitOptions): Promise<void> {
    const taker = this.#checked(() => checkName(to, 'to'))
    this.assert()
    const kept = this.#grant.again()
    this.#grant.lose('transferred')
    const { name, token } = this
    await ask<TransferredFields>(
      this.#core,
      {
        op: OP.transfer,
        body: () => [name, token, taker],
        read: (code, fields) => {
          if (code === OK) return fields as TransferredFields
          if (code === ERRORS.NO_SUCH_WAITER.wire)
            throw new NotTransferredError(outcomeError(code, fields).message, new Lease(this.#core, kept))
          throw grantError(name, code, fields)
        },
      },
      { signal: options?.signal, timeoutMs: this.#timeoutMs(options) },
    )
  }

  /**
   * Steps down in order: takes no new work (see run and hold), waits for the work in flight, at most `drain` and at
   * most until the lease is lost, then releases or transfers. True: all work had stopped before. A signal that fires
   * before calls it off (ABORTED). Asked twice, it is one handover, the first one's.
   */
  handover(options: HandoverOptions = {}): Promise<boolean> {
    this.#handover ??= this.#stepDown(options).finally(() => {
      this.#handover = null
    })
    return this.#handover
  }

  async #stepDown(options: HandoverOptions): Promise<boolean> {
    const drainMs = this.#checked(() => durationMs(options.drain ?? DRAIN_MS, 'drain'))
    if (drainMs > LIMITS.handoverDrainMsMax)
      throw new LeaseholdError('INVALID_ARGUMENT', `drain must be at most ${LIMITS.handoverDrainMsMax} ms`, {
        executed: 'no',
      })
    if (options.to !== undefined) this.#checked(() => checkName(options.to, 'to'))
    const drained = await this.#drain.close(drainMs, [this.lostSignal(), options.signal])
    if (options.signal?.aborted) {
      this.#drain.reopen()
      throw aborted(options.signal, 'no')
    }
    if (options.to === undefined) await this.release(options)
    else await this.transfer(options.to, options)
    return drained
  }

  /** Releases, for at most two seconds; never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release({ timeout: DISPOSE_MS }).catch(() => {})
  }

  #enough(leftMs: number): Promise<void> {
    const grant = this.#grant
    if (leftMs < grant.is.ttlMs / 2 && grant.renewal === null) renewal(this.#core, grant, leftMs)
    return DONE
  }

  async #ensure(min: Duration, options: Pick<WaitOptions, 'signal'> | undefined): Promise<void> {
    const minMs = this.#minMs(min)
    const grant = this.#grant
    for (;;) {
      const leftMs = grant.remainingMs()
      if (grant.lost !== null) throw grant.lost
      if (leftMs >= minMs) return this.#enough(leftMs)
      try {
        await unlessAborted(renewal(this.#core, grant, leftMs).wait(), options?.signal)
      } catch (error) {
        // What the check says comes first: by now the local end may have passed.
        grant.remainingMs()
        throw grant.lost ?? error
      }
    }
  }

  /** `min` in milliseconds; INVALID_ARGUMENT where no renewal could ever give as much. */
  #minMs(min: Duration): number {
    const minMs = this.#checked(() => cachedDurationMs(min, 'min'))
    if (minMs <= this.#fullMs) return minMs
    const detail = `min must be at most ${this.#fullMs} ms with a ttl of ${this.ttlMs} ms, not ${minMs}`
    throw new LeaseholdError('INVALID_ARGUMENT', detail, { executed: 'no' })
  }

  #release(options: WaitOptions | undefined): Promise<boolean> {
    const { name, token } = this
    return ask(
      this.#core,
      {
        op: OP.release,
        body: () => [name, token],
        read: (code, fields) => {
          if (code === OK) return true
          if (code === ERRORS.LEASE_LOST.wire) return false
          throw grantError(name, code, fields)
        },
      },
      { signal: options?.signal, timeoutMs: this.#timeoutMs(options) },
    )
  }

  #timeoutMs(options: WaitOptions | undefined): number {
    if (options?.timeout === undefined) return this.#core.timeoutMs
    return this.#checked(() => durationMs(options.timeout, 'timeout'))
  }

  #checked<T>(check: () => T): T {
    try {
      return check()
    } catch (error) {
      throw refusedHere(error)
    }
  }
}
