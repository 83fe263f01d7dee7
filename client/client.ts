/**
 * The client of a cluster. Creating one opens nothing and starts no timer; it connects when it is first used, and holds
 * no process alive but for what somebody waits for.
 */
import { checkName, checkToken, ERRORS, OP, type RevokedFields, type TimeFields } from '@leasehold/protocol'
import { acquire, checkAcquire } from './acquire.js'
import { ask, isOk, outcomeError } from './ask.js'
import { assemble } from './assemble.js'
import { checkOptions } from './config.js'
import type { Core } from './core.js'
import { LeaseHeldError, refusedHere } from './errors.js'
import { Grant, type GrantParts } from './grant.js'
import { history } from './history.js'
import { type LeadOptions, lead, type Work } from './lead.js'
import { Lease } from './lease.js'
import type { Quota } from './quota.js'
import { Quotas } from './quotas.js'
import type {
  Admission,
  AdmitOptions,
  QuotaInfo,
  QuotaItem,
  QuotaListOptions,
  QuotaPage,
  QuotaWish,
  TopKeys,
} from './quotatypes.js'
import { list, Reads, timeoutOf } from './reads.js'
import { claim } from './renewals.js'
import type {
  AcquireOptions,
  ClientOptions,
  GetOptions,
  HistoryOptions,
  HistoryPage,
  LeaseInfo,
  LeasePage,
  ListOptions,
  TryAcquireOptions,
  WaitOptions,
  WatchOptions,
} from './types.js'
import { Watch } from './watch.js'
import { systemWorld, type World } from './world.js'

/** close() waits no longer than this for cancels and releases to be answered. */
const GOODBYE_MS = 1_000

export class Client implements AsyncDisposable {
  readonly #core: Core
  readonly #grantParts: GrantParts
  readonly #reads: Reads
  readonly #quotas: Quotas
  #closed: Promise<void> | null = null

  /** See createClient. */
  constructor(core: Core) {
    this.#core = core
    this.#grantParts = { ...core, ended: (grant) => core.grants.remove(grant) }
    this.#reads = new Reads(core)
    this.#quotas = new Quotas(core)
  }

  /** The name that leases are held under, unless an acquire says otherwise. */
  get holder(): string {
    return this.#core.holder
  }

  /** Resolves once a member answers. Not needed: everything connects by itself. */
  async ready(options: WaitOptions = {}): Promise<void> {
    const timeoutMs = this.#checked(() => timeoutOf(this.#core, options))
    const read = (_: number, fields: readonly unknown[]) => this.#core.session.learn((fields as TimeFields)[0])
    await ask(this.#core, { op: OP.time, body: () => [], read }, { signal: options.signal, timeoutMs })
  }

  /** The lease; waits in the queue for `wait`, then throws LeaseHeldError. */
  async acquire(name: string, options: AcquireOptions = {}): Promise<Lease> {
    return acquire(this.#core, this.#grantParts, checkAcquire(this.#core, name, options))
  }

  /** The lease, or null where somebody else has it. */
  async tryAcquire(name: string, options: TryAcquireOptions = {}): Promise<Lease | null> {
    try {
      return await this.acquire(name, options)
    } catch (error) {
      if (error instanceof LeaseHeldError) return null
      throw error
    }
  }

  /** Acquires, runs the work, and releases whatever happens. The work is to check the lease, or to heed its lostSignal(). */
  async withLease<T>(name: string, options: AcquireOptions, work: (lease: Lease) => Promise<T> | T): Promise<T> {
    await using lease = await this.acquire(name, options)
    return await work(lease)
  }

  /** Leads under the name until the work says 'stop' or the signal fires. See lead.ts. */
  async lead(name: string, options: LeadOptions, work: Work): Promise<void> {
    const { min: _min, onError: _onError, ...wanted } = options
    this.#checked(() => checkAcquire(this.#core, name, wanted))
    await lead(this.#core, (waiting) => this.acquire(name, waiting), options, work)
  }

  /**
   * A lease object for a grant whose token is known from elsewhere: renews it, so that its validity counts from now.
   * LeaseLostError where the grant has ended. It must be used in one place only; the token is the grant.
   */
  async resume(name: string, token: number, options: WaitOptions = {}): Promise<Lease> {
    const core = this.#core
    const is = this.#checked(() => ({
      name: checkName(name, 'name'),
      token: checkToken(token),
      holder: core.holder,
      meta: null,
      ttlMs: 0,
    }))
    const grant = await claim(
      core,
      new Grant(this.#grantParts, is, core.timeline.mark()),
      timeoutOf(core, options),
      options.signal,
    )
    return new Lease(core, grant)
  }

  /** Ends whatever grant the name has: for operators. Null where there was none; else the token that was ended. */
  async revoke(name: string, options: WaitOptions = {}): Promise<number | null> {
    const core = this.#core
    const checked = this.#checked(() => ({ name: checkName(name, 'name'), timeoutMs: timeoutOf(core, options) }))
    const seq = core.session.open()
    let knownMs: number | null = null
    const request = {
      op: OP.revoke,
      timed: true,
      body: () => {
        knownMs ??= core.session.knownMs() ?? 0
        return [seq, core.session.lowest, knownMs, checked.name]
      },
      read: (code: number, fields: readonly unknown[]) => {
        if (isOk(code)) return (fields as RevokedFields)[0] as number
        if (code === ERRORS.LEASE_NOT_FOUND.wire) return null
        throw outcomeError(code, fields)
      },
    }
    return ask(core, request, { signal: options.signal, timeoutMs: checked.timeoutMs }).finally(() =>
      core.session.answered(seq),
    )
  }

  /** The lease of this name as the cluster knows it, or null where nobody has it. */
  async get(name: string, options: GetOptions = {}): Promise<LeaseInfo | null> {
    return this.#reads.get(name, options)
  }

  /** One page of leases, by name. */
  async list(options: ListOptions = {}): Promise<LeasePage> {
    return list(this.#core, options)
  }

  /** Changes of leases from now on, or from a cursor. Throws CURSOR_COMPACTED where it cannot go on. */
  watch(options: WatchOptions = {}): Watch {
    return new Watch(this.#core, options)
  }

  /** The audit, page by page, to its end. */
  history(options: HistoryOptions = {}): AsyncGenerator<HistoryPage, void, undefined> {
    return history(this.#core, options)
  }

  /** The quota of this name, to be taken from by this process: the same object each time. */
  quota(name: string): Quota {
    return this.#quotas.quota(name)
  }

  /** A member's decision about `cost` tokens, for one key of a quota that has a bucket for each; null for an ordinary quota. */
  async admit(name: string, key: string | null = null, cost = 1, options: AdmitOptions = {}): Promise<Admission> {
    return this.#quotas.takeAll([{ quota: name, key, cost }], options)
  }

  /** A member's decision about several quotas at once: all of it, or nothing. */
  async takeAll(items: readonly QuotaItem[], options: AdmitOptions = {}): Promise<Admission> {
    return this.#quotas.takeAll(items, options)
  }

  /** Makes a quota, or changes it as a whole; a change never adds tokens. Returns the version of its specification. */
  async setQuota(name: string, wish: QuotaWish, options: WaitOptions = {}): Promise<number> {
    return this.#quotas.set(name, wish, options)
  }

  /** False where there was none. */
  async deleteQuota(name: string, options: WaitOptions = {}): Promise<boolean> {
    return this.#quotas.delete(name, options)
  }

  /** The quota as the cluster knows it, or null. */
  async getQuota(name: string, options: WaitOptions = {}): Promise<QuotaInfo | null> {
    return this.#quotas.get(name, options)
  }

  /** One page of quotas, by name. */
  async listQuotas(options: QuotaListOptions = {}): Promise<QuotaPage> {
    return this.#quotas.list(options)
  }

  /** The keys of a quota that take most, heaviest first. */
  async topKeys(name: string, limit = 20, options: WaitOptions = {}): Promise<TopKeys> {
    return this.#quotas.top(name, limit, options)
  }

  /**
   * Fails what is waited for with CLOSED, gives its waits back, and disconnects. Leases are not released: they may be in
   * use; they end by themselves. Safe to call twice.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const { calls, clocks, link, watches, wheel } = this.#core
    await this.#quotas.close()
    calls.close(false)
    if (link.open && calls.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = clocks.after(GOODBYE_MS, resolve)
        timer.hold(true)
        calls.whenIdle = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    calls.close(true)
    watches.lost()
    wheel.stop()
    await link.close()
  }

  #checked<T>(check: () => T): T {
    try {
      return check()
    } catch (error) {
      throw refusedHere(error)
    }
  }
}

/**
 * A client of the cluster at these endpoints. Throws INVALID_ARGUMENT. `world` replaces clocks, sockets and randomness:
 * for tests and simulations.
 */
export function createClient(options: ClientOptions, world: World = systemWorld): Client {
  return new Client(assemble(checkOptions(options), world))
}
