import { ERRORS, OFFERED, OK, OP, QUEUED, type RequestToken, waiterId } from '@leasehold/protocol'
import { createHttp } from '@leasehold/server/http'
import { createIntake } from '@leasehold/server/intake'
import t, { type Test } from 'tap'
import { memoryReplica, type Served, serve } from '../support/member.js'
import { Remembered, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { VirtualClock } from '../support/virtualclock.js'
import { FakeReplica } from './fake.js'

/** A command with a request token. */
interface Named {
  readonly request: RequestToken
}

interface Told {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

async function world(t: Test): Promise<Served> {
  const served = await serve()
  t.teardown(() => served.close())
  return served
}

/** One request, which `signal` breaks off. */
async function put(served: Served, body: object, options: { key?: string; signal?: AbortSignal } = {}): Promise<Told> {
  const response = await fetch(`${served.url}/v1/leases/a`, {
    method: 'PUT',
    body: JSON.stringify({ ttlMs: 60_000, ...body }),
    headers: {
      'content-type': 'application/json',
      'leasehold-client': 'tester',
      ...(options.key !== undefined && { 'idempotency-key': options.key }),
    },
    ...(options.signal !== undefined && { signal: options.signal }),
  })
  return { status: response.status, body: (await response.json()) as Told['body'] }
}

async function release(served: Served, token: unknown): Promise<void> {
  await fetch(`${served.url}/v1/leases/a/release`, {
    method: 'POST',
    body: JSON.stringify({ token }),
    headers: { 'content-type': 'application/json' },
  })
}

const waiters = (served: Served, count: number) => until(() => served.replica.status.waiters === count)

t.test('a closed connection without a key gives its place up at once', async (t) => {
  const served = await world(t)
  const first = await put(served, { holder: 'h1' })
  const gone = new AbortController()
  const left = put(served, { holder: 'h2', waitMs: 60_000 }, { signal: gone.signal })
  await waiters(served, 1)
  gone.abort()
  await t.rejects(left)
  await waiters(served, 0)
  await release(served, first.body.token)
  t.equal(served.replica.getLease('a'), null, 'nobody is offered what nobody waits for')
})

t.test('a closed connection with a key is waited for, and comes back to its place', async (t) => {
  const served = await world(t)
  const first = await put(served, { holder: 'h1' })
  const gone = new AbortController()
  const left = put(served, { holder: 'h2', waitMs: 60_000 }, { key: 'k', signal: gone.signal })
  await waiters(served, 1)
  const third = put(served, { holder: 'h3', waitMs: 60_000 })
  await waiters(served, 2)
  gone.abort()
  await t.rejects(left)
  const back = put(served, { holder: 'h2', waitMs: 60_000 }, { key: 'k' })
  await until(() => served.telemetry.requests.some(([op, outcome]) => op === 'acquire' && outcome === 'gone'))
  await release(served, first.body.token)
  t.match(await back, { status: 202, body: { offered: true, holder: 'h2', token: 2 } }, 'it was not overtaken')
  await release(served, 2)
  t.match(await third, { status: 202, body: { holder: 'h3' } })
})

t.test('two attempts of one request share a place, and both are answered', async (t) => {
  const served = await world(t)
  const first = await put(served, { holder: 'h1' })
  const gone = new AbortController()
  const attempts = [1, 2, 3].map((n) =>
    put(served, { holder: 'h2', waitMs: 60_000 }, { key: 'k', ...(n === 3 && { signal: gone.signal }) }),
  )
  const settled = Promise.allSettled(attempts)
  await until(() => served.app.server.listening && served.replica.status.waiters === 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  gone.abort()
  await new Promise((resolve) => setTimeout(resolve, 20))
  await release(served, first.body.token)
  const [one, two, three] = await settled
  t.match(one, { status: 'fulfilled', value: { status: 202, body: { token: 2 } } })
  t.match(two, { status: 'fulfilled', value: { status: 202, body: { token: 2 } } })
  t.equal(three?.status, 'rejected')
})

t.test('a member that shuts down breaks waits off, each as it may come back', async (t) => {
  const served = await world(t)
  await put(served, { holder: 'h1' })
  const keyed = put(served, { holder: 'h2', waitMs: 60_000 }, { key: 'k' })
  const bare = put(served, { holder: 'h3', waitMs: 60_000 })
  await waiters(served, 2)
  const startMs = performance.now()
  await served.close()
  t.ok(performance.now() - startMs < 4_000, 'closing is bounded')
  t.match(await keyed, { status: 504, body: { code: 'OUTCOME_UNKNOWN', retryable: true } })
  t.match(await bare, { status: 503, body: { code: 'SHUTTING_DOWN', executed: false } })
})

async function scripted(t: Test, limits = {}) {
  const replica = new FakeReplica()
  replica.respond = () => null
  const clock = new VirtualClock()
  const telemetry = new Remembered()
  const intake = createIntake({ replica, clock, random: realRandom, telemetry, limits })
  const app = await createHttp({ replica, clock, random: realRandom, telemetry, info: { version: '0' }, intake })
  t.teardown(() => app.close())
  const send = (payload: object, headers = {}) =>
    app.inject({ method: 'PUT', url: '/v1/leases/a', payload: { holder: 'h', ...payload }, headers })
  const came = (count: number) => until(() => replica.submitted.length === count)
  return { app, replica, clock, intake, telemetry, send, came }
}

t.test('a full front door says when to come back, and that nothing was executed', async (t) => {
  const { send, replica, came, intake } = await scripted(t, { inFlightMax: 2 })
  const first = [send({}), send({})]
  await came(2)
  const refused = await send({})
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { code: 'OVERLOADED', executed: false, retryable: true, retryAfterMs: Number })
  t.ok(refused.json().retryAfterMs >= 25 && refused.json().retryAfterMs <= 250)
  t.equal(refused.headers['retry-after'], '1')
  replica.answer(ERRORS.LEASE_HELD.wire, ['other', 5, null, false], 0)
  replica.answer(ERRORS.LEASE_HELD.wire, ['other', 5, null, false], 1)
  await Promise.all(first)
  t.same([intake.inFlight, intake.inFlightBytes], [0, 0])
})

t.test('bytes are counted, too, and waits apart', async (t) => {
  const { send, came, replica, intake } = await scripted(t, { inFlightBytesMax: 1_000, waitingMax: 1 })
  const large = send({ meta: 'm'.repeat(900) })
  await came(1)
  t.match((await send({ meta: 'm'.repeat(900) })).json(), { code: 'OVERLOADED' })
  replica.answer(ERRORS.LEASE_HELD.wire, ['other', 5, null, false])
  await large
  const waiting = send({ waitMs: 1_000 })
  await came(2)
  replica.answer(QUEUED, [waiterId(1)])
  t.same([intake.inFlight, intake.waiting], [0, 1])
  t.match((await send({ waitMs: 1_000 })).json(), { code: 'LIMIT_REACHED', executed: false })
  replica.answer(OFFERED, [3, 3_000, 10_000, false])
  t.equal((await waiting).statusCode, 202)
  t.equal(intake.waiting, 0)
})

t.test('an answer that does not come is an unknown outcome, but never while it waits', async (t) => {
  const { send, came, replica, clock } = await scripted(t)
  const stuck = send({})
  const waits = send({ waitMs: 3_600_000 })
  await came(2)
  replica.answer(QUEUED, [waiterId(1)], 1)
  clock.advance(31_000)
  const answer = await stuck
  t.equal(answer.statusCode, 504)
  t.match(answer.json(), { code: 'OUTCOME_UNKNOWN', retryable: true })
  t.notOk('executed' in answer.json(), 'nobody knows')
  clock.advance(3_000_000)
  replica.answer(OFFERED, [3, 3_000, 10_000, false], 1)
  t.equal((await waits).statusCode, 202)
})

t.test('what the replica refuses is told as the error table has it', async (t) => {
  const { send, came, replica } = await scripted(t)
  for (const [at, code] of (
    ['NO_QUORUM', 'SHUTTING_DOWN', 'LIMIT_REACHED', 'STALE', 'OUTCOME_UNKNOWN'] as const
  ).entries()) {
    const answer = send({})
    await came(at + 1)
    replica.answer(ERRORS[code].wire, ['because', 1_500])
    const { statusCode, headers } = await answer
    t.equal(statusCode, ERRORS[code].status)
    t.match((await answer).json(), { code, detail: 'because', retryAfterMs: 1_500, retryable: ERRORS[code].retryable })
    t.equal(headers['retry-after'], '2', 'in whole seconds, rounded up')
  }
})

const STORM = { recordsPerPrincipalMax: 20 }

t.test('waits without a key are not remembered once they are answered, however many they are', async (t) => {
  const replica = await memoryReplica({ machine: STORM })
  const served = await serve({ replica })
  t.teardown(() => served.close())
  const send = (n: number, client: string, waitMs: number) =>
    served.app.inject({
      method: 'PUT',
      url: `/v1/leases/${n}`,
      payload: { holder: client, waitMs },
      headers: { 'leasehold-client': client },
    })
  t.equal((await send(0, 'patient', 0)).statusCode, 200)
  const patient = send(0, 'patient', 9_000)
  await waiters(served, 1)
  for (let n = 1; n <= 2 * STORM.recordsPerPrincipalMax; n++) {
    const { statusCode, body } = await send(n, 'busy', 1_000)
    if (statusCode !== 200) t.fail(`number ${n}: ${body}`)
  }
  t.equal(replica.status.waiters, 1, 'and a wait of somebody else goes on')
  await served.app.inject({ method: 'POST', url: '/v1/leases/0/release', payload: { token: 1 } })
  t.equal((await patient).statusCode, 202)
})

t.test('a wait is named by the server where its client does not, so that it can be given up', async (t) => {
  const { app, replica, clock, came } = await scripted(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = app.listeningOrigin
  const wait = (client: string, signal?: AbortSignal) =>
    fetch(`${url}/v1/leases/a`, {
      method: 'PUT',
      body: JSON.stringify({ holder: 'h', waitMs: 1_000 }),
      headers: { 'content-type': 'application/json', 'leasehold-client': client },
      signal: signal ?? null,
    })
  const gone = new AbortController()
  const left = wait('tester', gone.signal)
  await came(1)
  gone.abort()
  await t.rejects(left)
  await came(2)
  const [acquire, cancel] = replica.submitted.map(({ command }) => command as Named)
  t.match(acquire, { op: OP.acquire, request: { scope: /^m:[0-9a-f]{32}$/, key: 1, lowest: 1, knownMs: 5_000 } })
  const { scope } = acquire!.request
  t.match(cancel, { op: OP.cancelWait, principal: 'tester', scope, key: 1 })
  t.equal(replica.detached.length, 1, 'and nothing is sent to it any more')
  const answerAll = async (client: string) => {
    const count = replica.submitted.length
    const waiting = wait(client)
    await came(count + 1)
    const { request } = replica.submitted.at(-1)!.command as Named
    replica.answer(ERRORS.LEASE_HELD.wire, ['other', 5, null, false])
    t.equal((await waiting).status, 409)
    return request
  }
  t.match(await answerAll('tester'), { scope, key: 2, lowest: 1 }, 'it counts as unanswered until its cancel is not')
  t.match(await answerAll('other'), { scope, key: 3, lowest: 3 }, 'with its own principal only')
  replica.answer(ERRORS.OVERLOADED.wire, ['busy', 5], 1)
  t.match(await answerAll('tester'), { key: 4, lowest: 1 }, 'a cancel that is refused')
  clock.advance(1_000)
  await came(6)
  t.match(replica.submitted[5]!.command, { op: OP.cancelWait, scope, key: 1 }, 'is sent again')
  replica.answer(OK, [], 5)
  t.match(await answerAll('tester'), { key: 5, lowest: 5 })
})

t.test('a wait without a key whose outcome is not known is given up', async (t) => {
  const { send, came, replica, clock } = await scripted(t)
  const stuck = send({ waitMs: 1_000 })
  await came(1)
  clock.advance(31_000)
  t.match((await stuck).json(), { code: 'OUTCOME_UNKNOWN' })
  await came(2)
  t.match(replica.submitted[1]!.command, { op: OP.cancelWait, key: 1 })
  replica.answer(OK, [], 1)
  const keyed = send({ waitMs: 1_000 }, { 'idempotency-key': 'k' })
  await came(3)
  clock.advance(31_000)
  t.match((await keyed).json(), { code: 'OUTCOME_UNKNOWN' })
  t.equal(replica.submitted.length, 3, 'with a key its client may ask again')
})
