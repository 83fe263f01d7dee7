/** The whole audit as one member has it, page by page. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChainedEvent, chainedFromFields, type HistoryFields, OK, OP } from '@leasehold/protocol'
import { RawSession } from '../support/rawsession.js'
import type { Member } from './member.js'

const PAGE = 1_000
const SETTLE_MS_MAX = 20_000

async function auditOf(url: string): Promise<ChainedEvent[]> {
  const session = await RawSession.connect(url, 'reader', 'e'.repeat(32))
  try {
    const events: ChainedEvent[] = []
    let cursor: string | null = null
    do {
      const { code, fields } = await session.send(OP.history, [null, null, cursor, PAGE]).last
      if (code !== OK) throw new Error(`history: ${code} ${fields}`)
      const [page, next] = fields as unknown as HistoryFields
      for (const one of page) events.push(chainedFromFields(one))
      cursor = next
    } while (cursor !== null)
    return events
  } finally {
    session.terminate()
  }
}

/** Of each member, once nothing happens any more: while leases still end, members may differ by the last events. */
export async function wholeAudits(
  members: readonly Pick<Member, 'name' | 'url'>[],
): Promise<Map<string, ChainedEvent[]>> {
  const endMs = performance.now() + SETTLE_MS_MAX
  for (;;) {
    const audits = new Map<string, ChainedEvent[]>()
    for (const { name, url } of members) audits.set(name, await auditOf(url))
    const lengths = new Set([...audits.values()].map(({ length }) => length))
    if (lengths.size === 1 || performance.now() > endMs) return audits
    await sleep(250)
  }
}
