/** What is asked of quotas is judged by their specifications, as they are applied here, before anything is taken. */
import { burstOf, ERRORS, type ErrorCode, QUOTA_FORMAT, type QuotaView, type TakeItem } from '@leasehold/protocol'
import type { Replica } from '../replica/index.js'
import { instead } from './namedkeys.js'

export interface Fault {
  readonly code: ErrorCode
  readonly message: string
}

export class Rules {
  readonly #replica: Replica

  constructor(replica: Replica) {
    this.#replica = replica
  }

  /** What is wrong with a request, before anything of it is taken. */
  fault(items: readonly TakeItem[]): Fault | null {
    if (this.#replica.format < QUOTA_FORMAT) {
      return { code: 'UPGRADE_PENDING', message: ERRORS.UPGRADE_PENDING.help }
    }
    for (const item of items) {
      const { quota, cost, key } = item
      const view = this.#replica.getQuota(quota)
      if (view === null) return { code: 'QUOTA_NOT_FOUND', message: `there is no quota ${quota}` }
      if (key !== null && !view.spec.perKey) return { code: 'INVALID_ARGUMENT', message: `${quota} takes no key` }
      if (key === null && view.spec.perKey) {
        return { code: 'INVALID_ARGUMENT', message: `${quota} has a bucket for each key: say which` }
      }
      const own = instead(this.#replica, item).quota
      const taken = own === quota ? view : this.#replica.getQuota(own)
      if (taken === null) return { code: 'QUOTA_NOT_FOUND', message: `there is no quota ${own}` }
      const most = this.#mostOf(taken)
      if (cost > most)
        return { code: 'INVALID_ARGUMENT', message: `cost can never be admitted: ${own} admits ${most} at once` }
    }
    return null
  }

  /** That can ever be taken at once, here and above. */
  #mostOf(view: QuotaView): number {
    let most = burstOf(view.spec)
    for (let { parent } = view.spec; parent !== null; ) {
      const above = this.#replica.getQuota(parent)
      if (above === null) break
      most = Math.min(most, burstOf(above.spec))
      parent = above.spec.parent
    }
    return most
  }
}
