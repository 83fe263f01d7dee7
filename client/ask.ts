/** A request with one answer, as a promise: everything but acquires, renewals, cancels and watches. */
import { ERRORS, errorOfWire, type LossReason, OK, type Op } from '@leasehold/protocol'
import { onAbort } from './abort.js'
import { Call } from './call.js'
import type { Core } from './core.js'
import { aborted, LeaseholdError, LeaseLostError } from './errors.js'

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs: number
}

class Ask<T> extends Call {
  override readonly op: Op
  override readonly timed: boolean
  readonly #body: () => readonly unknown[]
  readonly #read: (code: number, fields: readonly unknown[]) => T
  readonly #resolve: (value: T) => void
  readonly #reject: (error: unknown) => void
  stopListening = () => {}

  constructor(request: Request<T>, resolve: (value: T) => void, reject: (error: unknown) => void) {
    super()
    this.op = request.op
    this.timed = request.timed ?? false
    this.holds = request.holds ?? true
    this.#body = request.body
    this.#read = request.read
    this.#resolve = resolve
    this.#reject = reject
  }

  override fields(): readonly unknown[] {
    return this.#body()
  }
  override answered(code: number, fields: readonly unknown[]): void {
    this.stopListening()
    try {
      this.#resolve(this.#read(code, fields))
    } catch (error) {
      this.#reject(error)
    }
  }
  override failed(error: LeaseholdError): void {
    this.stopListening()
    this.#reject(error)
  }
}

export interface Request<T> {
  readonly op: Op
  /** Called once per attempt. */
  readonly body: () => readonly unknown[]
  /** Makes the result, or throws. `code` is OK or the wire number of an error that is an outcome. */
  readonly read: (code: number, fields: readonly unknown[]) => T
  /** Carries a request token. */
  readonly timed?: boolean
  /** Whether the process stays alive for the answer; by default it does. */
  readonly holds?: boolean
}

/** Sends the request; rejects with what `read` throws, ABORTED, or a LeaseholdError of the transport. */
export function ask<T>(core: Core, request: Request<T>, options: AskOptions): Promise<T> {
  const { signal } = options
  if (signal?.aborted) return Promise.reject(aborted(signal, 'no'))
  return new Promise((resolve, reject) => {
    const call = new Ask<T>(request, resolve, reject)
    if (signal !== undefined) {
      call.stopListening = onAbort(signal, () => {
        core.calls.withdraw(call)
        reject(aborted(signal, call.executed))
      })
    }
    core.calls.submit(call, core.clocks.monotonicMs() + options.timeoutMs)
  })
}

/** The error that an outcome's reply stands for. For what says more than its code, see the callers. */
export function outcomeError(code: number, fields: readonly unknown[]): LeaseholdError {
  const error = errorOfWire(code)
  const detail = typeof fields[0] === 'string' ? fields[0] : ERRORS[error].title
  return new LeaseholdError(error, detail, { executed: 'yes' })
}

/** For requests about one grant: LEASE_LOST with its reason, or any other outcome. */
export function grantError(leaseName: string, code: number, fields: readonly unknown[]): LeaseholdError {
  if (code !== ERRORS.LEASE_LOST.wire) return outcomeError(code, fields)
  return new LeaseLostError(leaseName, Number(fields[0]), fields[1] as LossReason)
}

export const isOk = (code: number) => code === OK
