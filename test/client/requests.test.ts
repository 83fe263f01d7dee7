/** One layer retries: attempts are numbered, answers matched to them, and `executed` says no more than is known. */
import { LeaseholdError } from '@leasehold/client'
import { OK, OP, QUEUED } from '@leasehold/protocol'
import t from 'tap'
import { failure } from './claim.js'
import { type Answer, error, FakeWorld, type Received } from './fake.js'

t.test('no more than the member allows is in flight', async (t) => {
  const world = new FakeWorld()
  world.inFlightMax = 3
  const waiting: Received[] = []
  world.answer = (request) => {
    waiting.push(request)
    return null
  }
  const client = world.client()
  const all = Promise.all(Array.from({ length: 8 }, (_, i) => client.tryAcquire(`n/${i}`)))
  await world.time.settle()
  t.equal(waiting.length, 3)
  while (waiting.length > 0) {
    const request = waiting.shift()!
    const [code, ...fields] = world.obliging(request)!
    request.connection.reply([request.id, request.attempt, code, fields])
    await world.time.settle()
    t.ok(waiting.length <= 3)
  }
  t.equal((await all).length, 8)
  await world.time.until(client.close())
})

t.test(
  'what a lost connection leaves unanswered is sent again as the next attempt, under the same number',
  async (t) => {
    const world = new FakeWorld()
    const client = world.client()
    await client.ready()
    world.answer = () => null
    const acquired = client.acquire('n', { ttl: '10s' })
    await world.time.settle()
    world.answer = (request) => world.obliging(request)
    world.network.cut()
    const lease = await world.time.until(acquired)
    const [first, second] = world.got(OP.acquire) as [Received, Received]
    t.same([first.attempt, second.attempt], [1, 2])
    t.equal(first.id, second.id)
    t.equal(first.fields[0], second.fields[0], 'the same sequence number: the same request')
    t.equal(first.fields[2], second.fields[2], 'the cluster time known at the first attempt')
    t.equal(world.connections[0]!.hello!.sessionId, world.connections[1]!.hello!.sessionId)
    t.equal(world.connections[1]!.hello!.lowestUnanswered, first.fields[0])
    t.equal(lease.remainingMs(), 9_848)
    await world.time.until(client.close())
  },
)

t.test(
  'an attempt without an answer is made again, and the answer to any attempt counts, from its own sending',
  async (t) => {
    const world = new FakeWorld()
    const client = world.client()
    await client.ready()
    const seen: Received[] = []
    world.answer = (request) => {
      seen.push(request)
      return null
    }
    const acquired = client.acquire('n', { ttl: '10s' })
    await world.time.advance(2_100)
    t.same(
      seen.map((request) => request.attempt),
      [1, 2],
    )
    const sentMs = seen.map((request) => request.atMs)
    seen[0]!.connection.reply([seen[0]!.id, 1, OK, [9, 10_000, 10_000, false, 'h']])
    const lease = await acquired
    t.equal(lease.remainingMs(), Math.floor(9_848 - (world.time.nowMs - sentMs[0]!)), 'counted from the first sending')
    seen[1]!.connection.reply([seen[1]!.id, 2, OK, [9, 10_000, 10_000, true, 'h']])
    await world.time.settle()
    t.ok(lease.remainingMs() < 9_848 - 2_000, 'the second answer finds nobody')
    await world.time.until(client.close())
  },
)

t.test('a timeout alone never closes a connection; a ping that finds silence does', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await client.ready()
  world.answer = () => null
  t.equal((await world.time.until(failure(client.get('n')))).code, 'UNREACHABLE')
  t.equal(world.connections.length, 1, 'somebody answered the pings')
  world.partition(true)
  const asked = failure(client.get('n'))
  await world.time.advance(6_000)
  t.ok(world.dials > 1, 'it looks elsewhere')
  world.partition(false)
  t.equal((await world.time.until(asked)).executed, 'unknown')
  await world.time.until(client.close())
})

t.test('a member that turns the session away for good fails what waits, at once', async (t) => {
  const world = new FakeWorld()
  world.greet = (connection) => connection.refuse('UNAUTHENTICATED')
  const client = world.client()
  const refused = await world.time.until(failure(client.acquire('n')), 1_000)
  t.equal(refused.code, 'UNAUTHENTICATED')
  t.equal(refused.executed, 'no')
  world.greet = (connection) => connection.refuse('LIMIT_REACHED')
  const away = await world.time.until(failure(client.acquire('n')))
  t.equal(away.code, 'UNREACHABLE', 'one that is only full is tried until the deadline')
  t.ok(world.connections.length > 3)
  const { dials } = world
  await world.time.advance(60_000)
  t.equal(world.dials, dials, 'and nobody connects for nobody')
  await world.time.until(client.close())
})

t.test('frames that break the protocol end the connection, not the client', async (t) => {
  const world = new FakeWorld()
  world.greet = (connection) => {
    if (world.connections.length === 1) connection.send(Uint8Array.of(1, 4, 0, 1, 0xc1))
    else if (world.connections.length === 2) connection.send(new Uint8Array(0))
    else connection.welcome()
  }
  const client = world.client()
  const lease = await world.time.until(client.acquire('n'))
  t.equal(lease.token, 1)
  t.equal(world.connections.length, 3)
  world.connections[2]!.reply([999_999, 1, OK, []], [1, 77, OK, []])
  await world.time.settle()
  t.ok(lease.remainingMs() > 0, 'answers to nothing are ignored')
  await world.time.until(client.close())
})

interface Fate {
  readonly name: string
  readonly answers: readonly (Answer | null | 'cut')[]
  readonly code: string
  readonly executed: string
}

const refused = error('OVERLOADED', 'busy', 10)
const FATES: readonly Fate[] = [
  { name: 'invalid', answers: [error('INVALID_ARGUMENT')], code: 'INVALID_ARGUMENT', executed: 'no' },
  { name: 'held', answers: [error('LEASE_HELD', 'x', 5, null, false)], code: 'LEASE_HELD', executed: 'yes' },
  { name: 'stale', answers: [error('STALE')], code: 'STALE', executed: 'no' },
  { name: 'lost, then stale', answers: ['cut', error('STALE')], code: 'STALE', executed: 'unknown' },
  {
    name: 'a late retry of an ended grant',
    answers: ['cut', error('LEASE_LOST', 3, 'expired')],
    code: 'LEASE_LOST',
    executed: 'yes',
  },
  {
    name: 'the outcome is not known there',
    answers: [error('OUTCOME_UNKNOWN'), null],
    code: 'OUTCOME_UNKNOWN',
    executed: 'unknown',
  },
  { name: 'refused for ever', answers: Array.from({ length: 60 }, () => refused), code: 'OVERLOADED', executed: 'no' },
  {
    name: 'lost, then refused',
    answers: ['cut', ...Array.from({ length: 60 }, () => refused)],
    code: 'OVERLOADED',
    executed: 'unknown',
  },
  {
    name: 'refused, then lost',
    answers: [refused, null, null, null, null, null, null],
    code: 'OVERLOADED',
    executed: 'unknown',
  },
  { name: 'never answered', answers: [null, null, null, null, null, null], code: 'UNREACHABLE', executed: 'unknown' },
  {
    name: 'no quorum, for ever',
    answers: Array.from({ length: 60 }, () => error('NO_QUORUM')),
    code: 'NO_QUORUM',
    executed: 'no',
  },
  {
    name: 'another request under this number',
    answers: [error('IDEMPOTENCY_MISMATCH')],
    code: 'IDEMPOTENCY_MISMATCH',
    executed: 'no',
  },
]

t.test('executed is no only if every attempt was refused', async (t) => {
  for (const fate of FATES) {
    const world = new FakeWorld()
    const client = world.client()
    await client.ready()
    let i = 0
    world.answer = (request) => {
      if (request.op !== OP.acquire) return world.obliging(request)
      const answer = fate.answers[i++] ?? null
      if (answer !== 'cut') return answer
      world.time.after(1, () => world.network.cut())
      return null
    }
    const thrown = await world.time.until(failure(client.acquire('n')))
    t.same([thrown.code, thrown.executed], [fate.code, fate.executed], fate.name)
    t.ok(thrown instanceof LeaseholdError && thrown.message.length > 0)
    await world.time.until(client.close())
  }
})

t.test('a request that was never sent was not executed', async (t) => {
  const world = new FakeWorld()
  world.listening = false
  const client = world.client({ timeout: '1s' })
  const away = await world.time.until(failure(client.acquire('n')))
  t.same([away.code, away.executed, away.retryable], ['UNREACHABLE', 'no', true])
  t.match(away.message, /connection refused/, 'it says why')
  await world.time.until(client.close())
  const late = await failure(client.acquire('n'))
  t.same([late.code, late.executed], ['CLOSED', 'no'])
})

t.test("the server's hint is kept to, and never waited for beyond the deadline", async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await client.ready()
  world.answer = (request) => (request.attempt === 1 ? error('OVERLOADED', 'busy', 3_000) : world.obliging(request))
  const startMs = world.time.nowMs
  await world.time.until(client.acquire('n'))
  t.ok(world.time.nowMs - startMs >= 3_000)
  world.answer = () => error('OVERLOADED', 'busy', 30_000)
  const beforeMs = world.time.nowMs
  const refusal = await world.time.until(failure(client.acquire('n')))
  t.same([refusal.code, refusal.retryAfterMs], ['OVERLOADED', 30_000])
  t.equal(world.time.nowMs, beforeMs, 'it is told at once')
  await world.time.until(client.close())
})

t.test('giving up a wait cancels it, and its number stays unanswered until the cancel is answered', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await client.ready()
  let cancels = false
  world.answer = (request) => {
    if (request.op === OP.acquire && request.fields[3] === 'busy') return [QUEUED, 5]
    if (request.op === OP.cancelWait) return cancels ? [OK] : null
    return world.obliging(request)
  }
  const stop = new AbortController()
  const waiting = failure(client.acquire('busy', { wait: '1m', signal: stop.signal }))
  await world.time.advance(20_000)
  t.equal(world.got(OP.acquire).length, 1, 'a queued request is not repeated')
  stop.abort(new Error('enough'))
  const gaveUp = await waiting
  t.same([gaveUp.code, gaveUp.executed], ['ABORTED', 'unknown'])
  t.equal((gaveUp.cause as Error).message, 'enough')
  await world.time.settle()
  const seq = world.got(OP.acquire)[0]!.fields[0]
  t.same(world.got(OP.cancelWait)[0]!.fields, [seq])
  await client.acquire('free/1')
  t.equal(world.got(OP.acquire).at(-1)!.fields[1], seq, 'the mark stays')
  await world.time.advance(10_000)
  cancels = true
  world.network.cut()
  await world.time.until(client.acquire('free/2'))
  await world.time.settle()
  await client.acquire('free/3')
  t.ok((world.got(OP.acquire).at(-1)!.fields[1] as number) > (seq as number), 'once it is answered, the mark moves on')
  await world.time.until(client.close())
})

t.test('the cluster time is asked for when what is known is older than half the retention', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await client.acquire('a')
  t.equal(world.got(OP.acquire)[0]!.fields[2], 1_000, 'the welcome brought it')
  t.equal(world.got(OP.time).length, 0)
  await world.time.advance(299_000)
  await client.acquire('b')
  t.equal(world.got(OP.time).length, 0)
  world.clusterMs = 302_000
  await world.time.advance(2_000)
  await Promise.all([client.acquire('c'), client.acquire('d')])
  t.equal(world.got(OP.time).length, 1, 'once for all')
  t.equal(world.got(OP.acquire).at(-1)!.fields[2], 302_000)
  await world.time.advance(301_000)
  world.answer = () => error('OVERLOADED', 'busy', 60_000)
  const refusal = await world.time.until(failure(client.acquire('e')))
  t.same([refusal.code, refusal.executed], ['OVERLOADED', 'no'], 'what waits for it fails with it, unsent')
  t.equal(world.got(OP.acquire).length, 4)
  await world.time.until(client.close())
})

t.test('whatever waits takes a signal, and throws ABORTED when it fires', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  await client.ready()
  const lease = await client.acquire('mine')
  world.answer = () => null
  const waits: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    ready: (signal) => client.ready({ signal }),
    acquire: (signal) => client.acquire('n', { signal }),
    tryAcquire: (signal) => client.tryAcquire('n', { signal }),
    withLease: (signal) => client.withLease('n', { signal }, () => {}),
    lead: (signal) => client.lead('n', { signal }, async () => 'stop'),
    resume: (signal) => client.resume('n', 3, { signal }),
    revoke: (signal) => client.revoke('n', { signal }),
    get: (signal) => client.get('n', { signal }),
    list: (signal) => client.list({ signal }),
    history: (signal) => client.history({ signal }).next(),
    watch: (signal) => client.watch({ signal }).next(),
    ensure: (signal) => lease.ensure(9_848, { signal }),
    renew: (signal) => lease.renew({ signal }),
  }
  await world.time.advance(10)
  for (const [name, wait] of Object.entries(waits)) {
    const stop = new AbortController()
    const waiting = failure(wait(stop.signal))
    await world.time.settle()
    stop.abort()
    t.equal((await waiting).code, 'ABORTED', name)
    const early = await failure(wait(AbortSignal.abort()))
    t.equal(early.code, 'ABORTED', `${name}, with a signal that has fired`)
  }
  const stop = new AbortController()
  const releasing = failure(lease.release({ signal: stop.signal }))
  await world.time.settle()
  stop.abort()
  t.equal((await releasing).code, 'ABORTED', 'release')
  world.answer = () => [OK]
  await world.time.until(client.close())
})

t.test('bad arguments are refused before anything is sent', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const bad: Record<string, () => Promise<unknown>> = {
    'an empty name': () => client.acquire(''),
    'a name with a dot segment': () => client.acquire('a/../b'),
    'a name too long': () => client.acquire('n'.repeat(256)),
    'ttl 0': () => client.acquire('n', { ttl: 0 }),
    'ttl NaN': () => client.acquire('n', { ttl: Number.NaN }),
    'ttl too long': () => client.acquire('n', { ttl: '25h' }),
    'ttl of words': () => client.acquire('n', { ttl: 'soon' as '1s' }),
    'wait negative': () => client.acquire('n', { wait: -1 }),
    'wait too long': () => client.acquire('n', { wait: '61m' }),
    'priority 1.5': () => client.acquire('n', { priority: 1.5 }),
    'meta too large': () => client.acquire('n', { meta: 'm'.repeat(1_025) }),
    'holder empty': () => client.acquire('n', { holder: '' }),
    'token 0': () => client.resume('n', 0),
    'limit 0': () => client.list({ limit: 0 }),
    'maxAge negative': () => client.get('n', { maxAge: -1 }),
    'history of a bad name': () => client.history({ name: '//' }).next(),
  }
  for (const [name, call] of Object.entries(bad)) {
    const thrown = await failure(call())
    t.ok(thrown instanceof LeaseholdError, name)
    t.match(thrown, { code: /INVALID_ARGUMENT|TOO_LARGE/, executed: 'no' }, name)
  }
  for (const [name, options] of Object.entries({
    'no endpoints': { endpoints: [] },
    'an endpoint with a path': { endpoints: ['http://a/b'] },
    'an endpoint of another scheme': { endpoints: ['ftp://a'] },
    'drift too small': { drift: 0.001 },
    'drift NaN': { drift: Number.NaN },
    'timeout 0': { timeout: 0 },
    'a bad name': { name: 'a b' },
    'an unknown option': { retries: 3 } as object,
  })) {
    t.throws(() => world.client(options), { code: 'INVALID_ARGUMENT' }, name)
  }
  t.equal(world.connections.length, 0)
})
