/**
 * Acquiring: one request until it is granted, refused, or given up. An offer is claimed at once, and its validity counts
 * from the claim. Never leaves a grant behind that nobody here knows of: what is given up is cancelled, and the
 * request's number stays unanswered until then.
 */
import {
  checkLockDelayMs,
  checkMeta,
  checkName,
  checkPriority,
  checkTtlMs,
  checkWaitMs,
  durationMs,
  ERRORS,
  type GrantedFields,
  type HeldFields,
  LIMITS,
  OFFERED,
  type OfferedFields,
  OP,
} from '@leasehold/protocol'
import { onAbort } from './abort.js'
import { grantError, isOk } from './ask.js'
import { Call } from './call.js'
import type { Core } from './core.js'
import { aborted, LeaseHeldError, LeaseholdError, refusedHere } from './errors.js'
import { Grant, type GrantParts } from './grant.js'
import { Lease } from './lease.js'
import { claim } from './renewals.js'
import type { AcquireOptions } from './types.js'
import type { Mark } from './validity.js'

/** Checked arguments of one acquire. */
export interface Wanted {
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
  readonly waitMs: number
  readonly priority: number
  readonly lockDelayMs: number
  readonly meta: string | null
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** Throws INVALID_ARGUMENT or TOO_LARGE naming the field. */
export function checkAcquire(core: Core, name: unknown, options: AcquireOptions): Wanted {
  try {
    return {
      name: checkName(name, 'name'),
      holder: checkName(options.holder ?? core.holder, 'holder'),
      ttlMs: checkTtlMs(options.ttl === undefined ? LIMITS.ttlMsDefault : durationMs(options.ttl, 'ttl'), 'ttl'),
      waitMs: checkWaitMs(durationMs(options.wait ?? 0, 'wait'), 'wait'),
      priority: checkPriority(options.priority ?? 0),
      lockDelayMs: checkLockDelayMs(durationMs(options.lockDelay ?? 0, 'lockDelay'), 'lockDelay'),
      meta: checkMeta(options.meta ?? null),
      timeoutMs: options.timeout === undefined ? core.timeoutMs : durationMs(options.timeout, 'timeout'),
      signal: options.signal,
    }
  } catch (error) {
    throw refusedHere(error)
  }
}

interface Answer {
  readonly code: number
  readonly fields: readonly unknown[]
  readonly mark: Mark
}

class AcquireCall extends Call {
  override readonly op = OP.acquire
  override readonly timed = true
  readonly seq: number
  readonly #core: Core
  readonly #wanted: Wanted
  readonly #waitEndMs: number
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: LeaseholdError) => void
  #knownMs = -1

  constructor(
    core: Core,
    wanted: Wanted,
    waitEndMs: number,
    resolve: (answer: Answer) => void,
    reject: (error: LeaseholdError) => void,
  ) {
    super()
    this.seq = core.session.open()
    this.#core = core
    this.#wanted = wanted
    this.#waitEndMs = waitEndMs
    this.#resolve = resolve
    this.#reject = reject
  }

  override queuedForMs(): number {
    return Math.max(0, this.#waitEndMs - this.#core.clocks.monotonicMs())
  }

  override fields(): readonly unknown[] {
    const { session } = this.#core
    // Of the first attempt, whatever is known by now: with it the cluster judges whether the request is stale.
    if (this.#knownMs < 0) this.#knownMs = session.knownMs() ?? 0
    const { name, holder, ttlMs, priority, lockDelayMs, meta } = this.#wanted
    const waitMs = this.#wanted.waitMs === 0 ? 0 : Math.ceil(this.queuedForMs())
    return [this.seq, session.lowest, this.#knownMs, name, holder, ttlMs, waitMs, priority, lockDelayMs, meta]
  }

  override answered(code: number, fields: readonly unknown[], mark: Mark): void {
    this.#resolve({ code, fields, mark })
  }

  override failed(error: LeaseholdError): void {
    this.forget()
    this.#reject(error)
  }

  /** No answer is waited for any more. */
  forget(): void {
    if (this.executed === 'no') this.#core.session.answered(this.seq)
    else this.#core.cancels.giveUp(this.seq)
  }
}

/** Resolves with the lease, or throws LeaseHeldError, LeaseLostError, ABORTED, or what kept it from an answer. */
export async function acquire(core: Core, parts: GrantParts, wanted: Wanted): Promise<Lease> {
  const waitEndMs = core.clocks.monotonicMs() + wanted.waitMs
  for (;;) {
    const { call, answer } = await request(core, wanted, waitEndMs)
    if (!isOk(answer.code) && answer.code !== OFFERED) {
      core.session.answered(call.seq)
      throw outcome(wanted.name, answer)
    }
    const grant = grantOf(parts, wanted, answer)
    if (isOk(answer.code)) {
      grant.renewed(answer.mark, answer.fields as GrantedFields)
      if (grant.usable) {
        core.session.answered(call.seq)
        return new Lease(core, grant)
      }
    }
    const withinMs = isOk(answer.code) ? grant.is.ttlMs : (answer.fields as OfferedFields)[1]
    try {
      await claim(core, grant, withinMs, wanted.signal)
      core.session.answered(call.seq)
      return new Lease(core, grant)
    } catch (error) {
      core.cancels.giveUp(call.seq)
      // The offer lapsed on its way, or the claim's answer did not come: back into the queue for what is left of the wait.
      const lapsed = error instanceof LeaseholdError && (error.retryable || error.code === 'LEASE_LOST')
      if (!lapsed || core.clocks.monotonicMs() >= waitEndMs) throw error
    }
  }
}

/** Sends one acquire and waits for its final answer. Its sequence number stays unanswered when this resolves. */
function request(core: Core, wanted: Wanted, waitEndMs: number): Promise<{ call: AcquireCall; answer: Answer }> {
  const { signal } = wanted
  if (signal?.aborted) return Promise.reject(aborted(signal, 'no'))
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => {
      core.calls.withdraw(call)
      call.forget()
      reject(aborted(signal!, call.executed))
    })
    const answered = (answer: Answer) => {
      stop()
      resolve({ call, answer })
    }
    const failed = (error: LeaseholdError) => {
      stop()
      reject(error)
    }
    const call = new AcquireCall(core, wanted, waitEndMs, answered, failed)
    core.calls.submit(call, Math.max(waitEndMs, core.clocks.monotonicMs()) + wanted.timeoutMs)
  })
}

function grantOf(parts: GrantParts, wanted: Wanted, answer: Answer): Grant {
  const { name, meta } = wanted
  const [token, second] = answer.fields as GrantedFields
  const offered = answer.code === OFFERED
  const ttlMs = offered ? (answer.fields as OfferedFields)[2] : second
  const holder = offered ? wanted.holder : (answer.fields as GrantedFields)[4]
  return new Grant(parts, { name, token, holder, meta, ttlMs }, answer.mark)
}

function outcome(name: string, { code, fields }: Answer): LeaseholdError {
  if (code !== ERRORS.LEASE_HELD.wire) return grantError(name, code, fields)
  const [holder, remainingMs, meta] = fields as HeldFields
  return new LeaseHeldError(name, holder, remainingMs, meta)
}
