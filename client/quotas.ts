/** What is asked of a member about quotas, each with one answer: decisions by key or over several quotas, specifications, listings. */
import {
  checkLimit,
  checkName,
  checkPrefix,
  checkQuotaSpec,
  ERRORS,
  type ExceededFields,
  OP,
  type Op,
  type QuotaChangedFields,
  type QuotaGetFields,
  type QuotaListFields,
  type QuotaRow,
  type QuotaTopFields,
  quotaFields,
  quotaOfFields,
  TAKE,
  type TakenFields,
  takeItem,
} from '@leasehold/protocol'
import { LRUCache } from 'lru-cache'
import { ask, isOk, outcomeError } from './ask.js'
import type { Core } from './core.js'
import { LeaseholdError, refusedHere } from './errors.js'
import { Quota } from './quota.js'
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
import { timeoutOf } from './reads.js'
import type { WaitOptions } from './types.js'

/** Quotas that this process takes from at a time; one that has not been used for longest makes way, and gives back what it has. */
const QUOTAS_MAX = 1_000

export class Quotas {
  readonly #core: Core
  readonly #open: LRUCache<string, Quota>

  constructor(core: Core) {
    this.#core = core
    this.#open = new LRUCache({ max: QUOTAS_MAX, dispose: (quota) => void quota.close() })
  }

  quota(name: string): Quota {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const quota = new Quota(
      this.#core,
      checked(() => checkName(name, 'name')),
    )
    this.#open.set(name, quota)
    return quota
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((quota) => quota.close()))
  }

  takeAll(items: readonly QuotaItem[], options: AdmitOptions): Promise<Admission> {
    const core = this.#core
    const body = checked(() => {
      const fields: unknown[] = [TAKE.all]
      for (const { quota, cost = 1, key = null } of items) {
        const item = takeItem(quota, cost, key)
        fields.push(item.quota, item.cost, item.key)
      }
      return fields
    })
    const read = (code: number, fields: readonly unknown[]): Admission => {
      if (isOk(code)) {
        const [taken, remaining, limit, resetMs, how] = fields as TakenFields
        return { admitted: true, taken, remaining, limit, resetMs, how }
      }
      if (code !== ERRORS.QUOTA_EXCEEDED.wire) throw outcomeError(code, fields)
      const [, retryAfterMs, remaining, limit, resetMs] = fields as ExceededFields
      return { admitted: false, retryAfterMs, remaining, limit, resetMs }
    }
    return ask(core, { op: OP.take, body: () => body, read }, this.#waiting(options))
  }

  async set(name: string, wish: QuotaWish, options: WaitOptions): Promise<number> {
    const wanted = checked(() => [checkName(name, 'name'), ...quotaFields(checkQuotaSpec(wish))])
    return this.#change(OP.quotaSet, wanted, options, null)
  }

  async delete(name: string, options: WaitOptions): Promise<boolean> {
    const wanted = checked(() => [checkName(name, 'name')])
    return (await this.#change(OP.quotaDelete, wanted, options, 0)) !== 0
  }

  get(name: string, options: WaitOptions): Promise<QuotaInfo | null> {
    const checkedName = checked(() => checkName(name, 'name'))
    const read = (code: number, fields: readonly unknown[]) => {
      if (isOk(code)) return infoOf((fields as QuotaGetFields)[0])
      if (code === ERRORS.QUOTA_NOT_FOUND.wire) return null
      throw outcomeError(code, fields)
    }
    return ask(this.#core, { op: OP.quotaGet, body: () => [checkedName], read }, this.#waiting(options))
  }

  list(options: QuotaListOptions): Promise<QuotaPage> {
    const { prefix = '', after = null, limit = 100 } = options
    const query = checked(() => [
      checkPrefix(prefix, 'prefix'),
      after === null ? null : checkName(after, 'after'),
      checkLimit(limit),
    ])
    const read = (code: number, fields: readonly unknown[]): QuotaPage => {
      if (!isOk(code)) throw outcomeError(code, fields)
      const [quotas, next] = fields as QuotaListFields
      return { quotas: quotas.map(infoOf), next }
    }
    return ask(this.#core, { op: OP.quotaList, body: () => query, read }, this.#waiting(options))
  }

  top(name: string, limit: number, options: WaitOptions): Promise<TopKeys> {
    const query = checked(() => [checkName(name, 'name'), checkLimit(limit)])
    const read = (code: number, fields: readonly unknown[]): TopKeys => {
      if (!isOk(code)) throw outcomeError(code, fields)
      const [keys, totalPerS] = fields as QuotaTopFields
      return { keys: keys.map(([key, ratePerS, errorPerS]) => ({ key, ratePerS, errorPerS })), totalPerS }
    }
    return ask(this.#core, { op: OP.quotaTop, body: () => query, read }, this.#waiting(options))
  }

  /** Carries a request token: the change is made once, whatever the attempts. `missing`: what it is where there is no such quota. */
  #change(op: Op, wanted: readonly unknown[], options: WaitOptions, missing: number | null): Promise<number> {
    const { session } = this.#core
    const seq = session.open()
    let knownMs: number | null = null
    const body = () => {
      knownMs ??= session.knownMs() ?? 0
      return [seq, session.lowest, knownMs, ...wanted]
    }
    const read = (code: number, fields: readonly unknown[]) => {
      if (isOk(code)) return (fields as QuotaChangedFields)[0]
      if (missing !== null && code === ERRORS.QUOTA_NOT_FOUND.wire) return missing
      throw outcomeError(code, fields)
    }
    return ask(this.#core, { op, timed: true, body, read }, this.#waiting(options)).finally(() => session.answered(seq))
  }

  #waiting(options: WaitOptions) {
    return { signal: options.signal, timeoutMs: checked(() => timeoutOf(this.#core, options)) }
  }
}

function infoOf([name, version, available, outstanding, fields]: QuotaRow): QuotaInfo {
  return { name, version, available, outstanding, ...quotaOfFields(fields, 0).spec }
}

function checked<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (error instanceof RangeError) throw new LeaseholdError('INVALID_ARGUMENT', error.message, { executed: 'no' })
    throw refusedHere(error)
  }
}
