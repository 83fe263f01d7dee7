import { auditSeq } from '@leasehold/protocol'
import t from 'tap'
import type { Asked, Outcome } from '../kill/history.js'
import { type ChaosHistory, type ChaosLook, PREFIX } from './history.js'
import { equalAudits, judgeChaos } from './judge.js'

const NONE = new Map()
const now = () => 0

function asked(op: Asked['op'], name: string, holder: string, atMs: number, outcome: Outcome | null, token = 0): Asked {
  return {
    op,
    name,
    holder,
    token: token === 0 ? null : token,
    to: null,
    firstSentMs: atMs,
    sentMs: atMs,
    answeredMs: outcome === null ? null : atMs + 1,
    outcome,
  }
}
const granted = (token: number): Outcome => ({ kind: 'granted', token, remainingMs: 1_000 })
const held: Outcome = { kind: 'refused', code: 'LEASE_HELD' }
const look = (name: string, holder: string | null, token: number | null, atMs: number): ChaosLook => ({
  name,
  holder,
  token,
  sentMs: atMs,
  answeredMs: atMs + 1,
})

/** What the two models find; the audit, which these histories lack, is left out. */
function found(asked: readonly Asked[], looks: readonly ChaosLook[] = []): string[] {
  const history: ChaosHistory = { asked, looks }
  return judgeChaos(history, NONE, now).found.filter((one) => /^(lease|register)/.test(one))
}

const LEASE = 'chaos/lease/all/shared-0'
const REGISTER = 'chaos/register/0'

t.test('a history as it should be passes both models', async (t) => {
  const all = [
    asked('acquire', LEASE, 'a', 0, granted(1)),
    asked('acquire', LEASE, 'b', 10, held),
    asked('renew', LEASE, 'a', 20, granted(1), 1),
    asked('release', LEASE, 'a', 30, { kind: 'ended' }, 1),
    asked('acquire', LEASE, 'b', 40, granted(2)),
    asked('acquire', REGISTER, 'a', 50, granted(3)),
    asked('release', REGISTER, 'a', 60, null, 3),
    asked('acquire', REGISTER, 'b', 70, granted(4)),
  ]
  t.same(found(all, [look(LEASE, 'b', 2, 45), look(REGISTER, 'b', 4, 80)]), [])
})

t.test('caught: two holders', async (t) => {
  t.match(found([asked('acquire', LEASE, 'a', 0, granted(1)), asked('acquire', LEASE, 'b', 10, granted(2))]), [
    'lease: not linearizable',
  ])
})

t.test('caught: a stale read, of a lease and of a register', async (t) => {
  const acquired = (name: string) => [asked('acquire', name, 'a', 0, granted(1))]
  t.match(found(acquired(LEASE), [look(LEASE, null, null, 10)]), ['lease: not linearizable'])
  t.match(found(acquired(REGISTER), [look(REGISTER, null, null, 10)]), ['register: not linearizable'])
})

t.test('caught: an acknowledged grant that is gone', async (t) => {
  const all = [asked('acquire', REGISTER, 'a', 0, granted(1)), asked('acquire', REGISTER, 'b', 10, granted(2))]
  t.match(found(all), ['register: not linearizable'])
})

t.test('an unknown outcome may have happened, late, or never', async (t) => {
  const all = [
    asked('acquire', REGISTER, 'a', 0, null),
    asked('acquire', REGISTER, 'b', 10, granted(2)),
    asked('release', REGISTER, 'b', 20, { kind: 'ended' }, 2),
  ]
  t.same(found(all, [look(REGISTER, 'a', 3, 30)]), [])
  t.same(found(all, [look(REGISTER, null, null, 30)]), [])
  t.match(found(all, [look(REGISTER, 'b', 2, 30)]), ['register: not linearizable'])
})

t.test('caught: audits that differ, and a missing one', async (t) => {
  const event = (seq: number, hash: string) => ({ seq: auditSeq(seq), hash })
  const differ = (...audits: [string, ReturnType<typeof event>[]][]) => equalAudits(new Map(audits))
  t.same(differ(), ['audit: there is none'])
  t.match(differ(['n1', [event(1, 'a')]], ['n2', [event(1, 'b')]]), [/^audit: event 1 of n2 is another/])
  t.match(differ(['n1', [event(1, 'a')]], ['n2', [event(1, 'a'), event(2, 'b')]]), [
    /^audit: n2 has 2 events, n1 has 1/,
  ])
})

t.test('what rivals pass on is judged by the model of a lease, too', async (t) => {
  const name = `${PREFIX.rival}0`
  const passed: Asked[] = [
    asked('acquire', name, 'a', 0, { kind: 'granted', token: 5, remainingMs: 1_500 }),
    { ...asked('transfer', name, 'a', 10, { kind: 'ended' }, 5), to: 'b' },
  ]
  const told = (more: readonly Asked[]) => judgeChaos({ asked: [...passed, ...more], looks: [] }, NONE, now).found
  const again = asked('renew', name, 'a', 20, { kind: 'granted', token: 5, remainingMs: 1_500 }, 5)
  t.notMatch(told([]).join(), /not linearizable/)
  t.match(told([again]).join(), /lease: not linearizable/)
})
