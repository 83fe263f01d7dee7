/** What tests of a cluster ask for, and how they see that its members agree. */
import { auditSeq, type ChainedEvent, type ClientCommand, fencingToken, OP, type Reply } from '@leasehold/protocol'
import type { Test } from 'tap'
import type { Cluster, Member } from './cluster.js'

export const acquire = (name: string, holder = 'h', over: Partial<Record<string, unknown>> = {}): ClientCommand =>
  ({
    op: OP.acquire,
    principal: holder,
    name,
    holder,
    ttlMs: 60_000,
    waitMs: 0,
    priority: 0,
    lockDelayMs: 0,
    meta: null,
    request: null,
    ...over,
  }) as ClientCommand
export const tokenOf = (reply: Reply) => fencingToken(reply.fields[0] as number)

export const renew = (name: string, token: number): ClientCommand => ({
  op: OP.renew,
  principal: 'h',
  name,
  token: fencingToken(token),
})
export const release = (name: string, token: number): ClientCommand => ({
  op: OP.release,
  principal: 'h',
  name,
  token: fencingToken(token),
})
export const request = (key: number) => ({ scope: 's:0123', key, lowest: 1, knownMs: 0 })

export async function history(member: Pick<Member, 'replica'>): Promise<readonly ChainedEvent[]> {
  const events: ChainedEvent[] = []
  for (let after = auditSeq(0), more = true; more; ) {
    const page = await member.replica.readEvents({ after, limit: 1_000 })
    events.push(...page.events)
    more = page.next !== null
    if (page.next !== null) after = page.next
  }
  return events
}

/** All members have applied the same, and their audits are the same to the last hash. */
export async function agree(t: Test, cluster: Cluster): Promise<readonly ChainedEvent[]> {
  for (const member of cluster.living) await cluster.until(member.replica.readBarrier())
  await cluster.run(500)
  const all = await Promise.all(cluster.living.map(history))
  for (const events of all.slice(1)) t.same(events.at(-1), all[0]!.at(-1), 'the audits end alike')
  for (const events of all.slice(1)) t.equal(events.length, all[0]!.length)
  return all[0]!
}
