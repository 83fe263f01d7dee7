/** A member over HTTP whose replica and whose desk do what a test says, and a quota to ask for. */
import { checkQuotaSpec, type QuotaSpec, type QuotaView } from '@leasehold/protocol'
import type { Test } from 'tap'
import { serve } from '../support/member.js'
import { asker } from './ask.js'
import { FakeDesk } from './desk.js'
import { FakeReplica } from './fake.js'

export const QUOTA_URL = '/v1/quotas/api%2Fsearch'
export const BODY = { bandwidths: [{ tokens: 100, perMs: 1_000, burst: 200 }] }
export const WHOLE = {
  ...BODY,
  ...{ parent: null, weight: 1, guaranteedPercent: 0, borrow: true, initial: null },
  ...{ perKey: false, shadow: false, whenUnavailable: 'deny', keys: [] },
}

export function view(name: string, spec: QuotaSpec = checkQuotaSpec(BODY), version = 3): QuotaView {
  return { name, version, spec, available: 120, outstanding: 5 }
}

export async function world(t: Test) {
  const replica = new FakeReplica()
  const desk = new FakeDesk()
  const served = await serve({ replica, quotas: desk, limits: { deadlineMs: 5_000 } })
  t.teardown(() => served.close())
  return { replica, desk, served, ask: await asker(t, served) }
}
