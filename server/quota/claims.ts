/** What a draw asks for: one claim for each request that waits, and one for what a busy quota wants in advance. */
import { type Claim, LIMITS } from '@leasehold/protocol'
import { Account } from './account.js'
import type { Ask } from './asks.js'
import { QUOTA_LIMITS as L } from './limits.js'

/** Beyond a bound those who came later are one claim together, that counts as many. */
export function claimsOf(
  asks: readonly Ask[],
  accounts: Iterable<Account>,
  members: number,
  nowMs: number,
): Map<Account, Claim[]> {
  const claims = new Map<Account, Claim[]>()
  let count = 0
  for (const { needs, seq } of asks) {
    if (seq !== 0 || count + needs.length > L.claimsPerDrawMax) continue
    for (const { account, tokens } of needs) {
      if (!(account instanceof Account)) continue
      const list = claims.get(account) ?? []
      const last = list.at(-1)
      if (last !== undefined && list.length >= LIMITS.drawClaimsMax - 1)
        list[list.length - 1] = [last[0] + tokens, last[1] + 1]
      else list.push([tokens, 1])
      claims.set(account, list)
      count++
    }
  }
  for (const account of accounts) {
    if (account.exhaustedUntilMs > nowMs || account.freeAt(nowMs) >= account.lowTokens) continue
    const ahead = account.aheadOf(members)
    if (ahead <= 0) continue
    const list = claims.get(account)
    if (list === undefined) claims.set(account, [[ahead, 1]])
    else list.push([ahead, 1])
  }
  return claims
}
