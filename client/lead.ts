/**
 * Leading: wait for the lease, do the work while it is held, step down when the work says so or throws, and begin again
 * when the lease is lost. The lease is renewed between two calls of the work, and by the work itself; never beside it.
 */
import { type Duration, durationMs, LIMITS } from '@leasehold/protocol'
import { onAbort } from './abort.js'
import type { Core } from './core.js'
import { aborted, LeaseholdError, LeaseLostError, refusedHere } from './errors.js'
import type { Lease } from './lease.js'
import { jitter } from './retry.js'
import type { AcquireOptions, LeadVerdict } from './types.js'

/** What a leader does: called with the lease while it is held, again and again. */
export type Work = (lease: Lease) => Promise<LeadVerdict>

const PAUSE_BASE_MS = 500
const PAUSE_MAX_MS = 30_000

export interface LeadOptions extends AcquireOptions {
  /** What must be left of the lease before the work is called (again). A quarter of the ttl by default. */
  readonly min?: Duration
  /** Hears what the work threw, and what kept from acquiring. */
  readonly onError?: (error: unknown) => void
}

type Outcome = 'stop' | 'lost' | { readonly error: unknown }

/**
 * Resolves when the work says 'stop'; rejects with ABORTED when the signal fires, and with what no waiting can mend.
 * Work that throws costs the office: the lease is released, and the next try comes after a pause that doubles (500 ms
 * to 30 s, with full jitter), so that another candidate goes first.
 */
export async function lead(
  core: Core,
  acquire: (options: AcquireOptions) => Promise<Lease>,
  { min, onError, ...wanted }: LeadOptions,
  work: Work,
): Promise<void> {
  const { signal } = wanted
  const minMs = min === undefined ? null : checkedMs(min)
  let failures = 0
  const counted: Work = async (lease) => {
    const verdict = await work(lease)
    failures = 0
    return verdict
  }
  for (let round = 1; ; round++) {
    const outcome = await candidacy(core, () => acquire({ wait: LIMITS.waitMsMax, ...wanted }), minMs, signal, counted)
    if (outcome === 'stop') return
    if (outcome === 'lost') continue
    failures++
    onError?.(outcome.error)
    const boundMs = Math.min(PAUSE_MAX_MS, PAUSE_BASE_MS * 2 ** Math.min(failures - 1, 16))
    await pause(core, jitter(core.session.seed, round, failures) * boundMs, signal)
  }
}

/** One try to be elected and, that done, one term of office. */
async function candidacy(
  core: Core,
  acquire: () => Promise<Lease>,
  minMs: number | null,
  signal: AbortSignal | undefined,
  work: Work,
): Promise<Outcome> {
  if (signal?.aborted) throw aborted(signal, 'no')
  let lease: Lease
  try {
    lease = await acquire()
  } catch (error) {
    return mendable(error)
  }
  try {
    return await office(core, lease, minMs ?? Math.floor(lease.ttlMs / 4), signal, work)
  } finally {
    await lease[Symbol.asyncDispose]()
  }
}

/** Until the work stops, throws, or the lease is lost. */
async function office(
  core: Core,
  lease: Lease,
  minMs: number,
  signal: AbortSignal | undefined,
  work: Work,
): Promise<Outcome> {
  for (;;) {
    try {
      await lease.ensure(minMs, signal === undefined ? undefined : { signal })
    } catch (error) {
      return mendable(error)
    }
    try {
      if ((await work(lease)) === 'stop') return 'stop'
    } catch (error) {
      if (signal?.aborted) throw aborted(signal, 'no')
      const lost = error instanceof LeaseLostError && error.token === lease.token
      return lost ? 'lost' : { error }
    }
    // Work that returns at once must not keep everything else from its turn.
    await new Promise<void>((resolve) => core.clocks.soon(resolve))
  }
}

/** What comes of a lease that could not be had or kept; throws what no waiting can mend. */
function mendable(error: unknown): Outcome {
  if (!(error instanceof LeaseholdError)) throw error
  if (error.code === 'LEASE_HELD' || error.code === 'LEASE_LOST') return 'lost'
  if (error.retryable) return { error }
  throw error
}

function checkedMs(min: Duration): number {
  try {
    return durationMs(min, 'min')
  } catch (error) {
    throw refusedHere(error)
  }
}

/** A pause that keeps the process alive, and ends with the signal. */
function pause(core: Core, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = core.clocks.after(ms, () => {
      stop()
      resolve()
    })
    timer.hold(true)
    const stop = onAbort(signal, () => {
      timer.cancel()
      reject(aborted(signal!, 'no'))
    })
  })
}
