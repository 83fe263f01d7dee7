import { type Configuration, checkConfiguration, logIndex, ProtocolError, run } from '@leasehold/protocol'
import type { MemberStatus } from '@leasehold/server/replica'
import t, { type Test } from 'tap'
import { serve } from '../support/member.js'
import { until } from '../support/until.js'
import { asker } from './ask.js'
import { FakeReplica } from './fake.js'

const configuration: Configuration = checkConfiguration({
  voters: ['m1@d1', 'm2@d2'],
  outgoing: [],
  learners: ['m3@d3'],
  addresses: { 'm1@d1': 'h1:7421', 'm2@d2': 'h2:7421', 'm3@d3': 'h3:7421' },
})

/** One of three members; the others have said where they are, except for m3. */
class Member extends FakeReplica {
  override leader: string | null = 'm1'
  override configuration: Configuration | null = configuration
  override members = [
    { id: 'm1', run: run(1), nonce: 'a', batch: 0, url: '', peerUrl: 'h1:7421', formatMax: 1 },
    { id: 'm2', run: run(2), nonce: 'b', batch: 0, url: 'http://h2:7420', peerUrl: 'h2:7421', formatMax: 1 },
  ]
  override get status(): MemberStatus {
    const peers = [
      { peer: 'm1@d1', address: 'h1:7421', voter: true, match: logIndex(9), active: true },
      { peer: 'm3@d3', address: 'h3:7421', voter: false, match: logIndex(4), active: false },
    ]
    const standings = new Map([['m2@d2', 7]])
    return { ...super.status, leader: this.leader, appliedIndex: 8, standings, peers }
  }
}

async function member(t: Test, replica = new Member()) {
  const served = await serve({ replica })
  t.teardown(() => served.close())
  return { replica, served, ask: await asker(t, served) }
}

t.test('the cluster shows each member with its role, addresses and progress', async (t) => {
  const { ask, served } = await member(t)
  const { body } = await ask('GET', '/v1/cluster')
  t.same(body.members, [
    {
      id: 'm1',
      role: 'leader',
      url: served.url,
      peerUrl: 'h1:7421',
      voter: true,
      appliedIndex: 8,
      directoryId: 'd1',
      reached: true,
    },
    {
      id: 'm2',
      role: 'follower',
      url: 'http://h2:7420',
      peerUrl: 'h2:7421',
      voter: true,
      appliedIndex: 7,
      directoryId: 'd2',
      reached: null,
    },
    {
      id: 'm3',
      role: 'learner',
      url: null,
      peerUrl: 'h3:7421',
      voter: false,
      appliedIndex: 4,
      directoryId: 'd3',
      reached: false,
    },
  ])
})

t.test('who looks at the cluster is told of as doing that', async (t) => {
  const { ask, served } = await member(t)
  await ask('GET', '/v1/cluster')
  await until(() => served.telemetry.requests.length > 0)
  t.same(served.telemetry.requests, [['cluster', 'ok', '']])
})

t.test('a leader carries changes through, and answers with the cluster', async (t) => {
  const { ask, replica } = await member(t)
  t.equal((await ask('POST', '/v1/cluster/members', { id: 'm4', peerUrl: 'h4:7421', directoryId: 'd4' })).status, 200)
  t.equal((await ask('POST', '/v1/cluster/members/m3/promote')).status, 200)
  t.equal((await ask('DELETE', '/v1/cluster/members/m3%40d3')).status, 200)
  t.same(replica.changes, [
    { kind: 'add', peer: 'm4@d4', address: 'h4:7421' },
    { kind: 'promote', member: 'm3' },
    { kind: 'remove', member: 'm3@d3' },
  ])
  replica.changed = () => Promise.reject(new ProtocolError('MEMBERSHIP_CONFLICT', 'another change is under way'))
  t.match(await ask('DELETE', '/v1/cluster/members/m2'), {
    status: 409,
    body: { code: 'MEMBERSHIP_CONFLICT', retryable: true, detail: 'another change is under way' },
  })
})

t.test('what is asked for wrongly is refused before anything is changed', async (t) => {
  const { ask, replica } = await member(t)
  const wrong: [string, unknown, number, string][] = [
    ['/v1/cluster/members', { id: 'm4', peerUrl: 'h4:7421' }, 409, 'MEMBERSHIP_CONFLICT'],
    ['/v1/cluster/members', { id: 'm@4', peerUrl: 'h4:7421' }, 400, 'INVALID_ARGUMENT'],
    ['/v1/cluster/members', { id: 'm4', peerUrl: 'h4:7421', directoryId: 'd@4' }, 400, 'INVALID_ARGUMENT'],
    ['/v1/cluster/members', { id: 'm4' }, 400, 'INVALID_ARGUMENT'],
    ['/v1/cluster/transfer', { to: 'm3' }, 404, 'MEMBER_NOT_FOUND'],
    ['/v1/cluster/transfer', { to: 'm2' }, 409, 'MEMBERSHIP_CONFLICT'],
  ]
  for (const [path, body, status, code] of wrong) t.match(await ask('POST', path, body), { status, body: { code } })
  t.same(replica.changes, [])
})

t.test('leadership is handed over once the other one leads', async (t) => {
  const { ask, replica } = await member(t)
  replica.transferred = (to) => {
    setTimeout(() => (replica.leader = to), 30)
    return true
  }
  t.match(await ask('POST', '/v1/cluster/transfer', { to: 'm1' }), { status: 200 }, 'it leads already')
  t.match(await ask('POST', '/v1/cluster/transfer', { to: 'm2' }), { status: 200, body: { leader: 'm2' } })
  t.same(replica.transfers, ['m2'])
})

t.test('another member sends who asks for a change on to the leader, if it knows where that is', async (t) => {
  const { ask, replica, served } = await member(t)
  replica.leader = 'm2'
  const path = '/v1/cluster/members/m3/promote'
  const sent = await fetch(served.url + path, { method: 'POST', redirect: 'manual' })
  t.same([sent.status, sent.headers.get('location')], [307, `http://h2:7420${path}`])
  for (const leader of [null, 'm3']) {
    replica.leader = leader
    t.match(await ask('POST', path), { status: 503, body: { code: 'NO_QUORUM', executed: false } })
  }
  t.same(replica.changes, [])
})
