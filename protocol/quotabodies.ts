/**
 * Bodies of requests about quotas: the MessagePack arrays behind the headers, and their check.
 *
 *   quotaSet    [seq, lowest, knownMs, name, then the fields of the specification (quota.ts)]
 *   quotaDelete [seq, lowest, knownMs, name]
 *   take        [mode, then quota, cost, key of each]    (mode as in TAKE; key is null but for a perKey quota)
 *   draw        [quota, wanted, tab, spent, returned]    (tab 0: the client has none yet; it reports nothing then)
 *   quotaGet    [name]          quotaList [prefix, after, limit]          quotaTop [name, limit]
 */
import { checkCount, checkInteger, checkLimit, checkNatural } from './checks.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { checkName } from './names.js'
import { checkCost, checkQuotaKey } from './quota.js'

/** Numbers on the wire. `all`: every item or none. `upTo`: of the one item, as much as there is. `peek`: takes nothing. */
export const TAKE = { all: 0, upTo: 1, peek: 2 } as const
export type TakeMode = (typeof TAKE)[keyof typeof TAKE]

export interface TakeItem {
  readonly quota: string
  readonly cost: number
  readonly key: string | null
}

export interface TakeRequest {
  readonly mode: TakeMode
  readonly items: readonly TakeItem[]
}

/** What a client asks of its member: more tokens, and a report of what became of those that it has. Cumulative since the tab was opened. */
export interface DrawRequest {
  readonly quota: string
  /** 0: it only reports. */
  readonly wanted: number
  readonly tab: number
  readonly spent: number
  readonly returned: number
}

export interface TopQuery {
  readonly name: string
  readonly limit: number
}

export function parseTake(fields: readonly unknown[]): TakeRequest {
  const mode = checkInteger(fields[0], 'mode', TAKE.all, TAKE.peek) as TakeMode
  const count = (fields.length - 1) / 3
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.takeItemsMax || (count > 1 && mode !== TAKE.all)) {
    throw new ProtocolError(
      'INVALID_ARGUMENT',
      `take has 1 to ${LIMITS.takeItemsMax} items, and one alone unless all are to be taken`,
    )
  }
  const items: TakeItem[] = []
  for (let at = 1; at < fields.length; at += 3) items.push(takeItem(fields[at], fields[at + 1], fields[at + 2]))
  return { mode, items }
}

export function takeItem(quota: unknown, cost: unknown, key: unknown): TakeItem {
  return { quota: checkName(quota, 'quota'), cost: checkCost(cost), key: key === null ? null : checkQuotaKey(key) }
}

export function parseDraw(fields: readonly unknown[]): DrawRequest {
  checkCount(fields, 5, 'draw')
  return {
    quota: checkName(fields[0], 'quota'),
    wanted: checkInteger(fields[1], 'wanted', 0, LIMITS.quotaTokensMax),
    tab: checkNatural(fields[2], 'tab'),
    spent: checkNatural(fields[3], 'spent'),
    returned: checkNatural(fields[4], 'returned'),
  }
}

export function parseTop(fields: readonly unknown[]): TopQuery {
  checkCount(fields, 2, 'quotaTop')
  return { name: checkName(fields[0], 'name'), limit: checkLimit(fields[1]) }
}
