import { connect } from 'node:net'
import { ERRORS, OK, OP } from '@leasehold/protocol'
import { createHttp, ServerTelemetry } from '@leasehold/server/http'
import { createIntake } from '@leasehold/server/intake'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { serve } from '../support/member.js'
import { RawSession } from '../support/rawsession.js'
import { Remembered, realClock, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { VirtualClock } from '../support/virtualclock.js'
import { FakeReplica } from './fake.js'

t.test('liveness asks nobody, readiness says the truth', async (t) => {
  const replica = new FakeReplica()
  const intake = createIntake({ replica, clock: realClock, random: realRandom, telemetry: new Remembered() })
  const app = await createHttp({
    replica,
    intake,
    clock: realClock,
    random: realRandom,
    telemetry: new Remembered(),
    info: { version: '0' },
  })
  t.teardown(() => app.close())
  const statuses = async () => [
    (await app.inject('/healthz')).statusCode,
    (await app.inject('/readyz')).statusCode,
    (await app.inject({ method: 'GET', url: '/readyz', headers: { accept: 'text/plain' } })).statusCode,
  ]
  t.same(await statuses(), [200, 200, 200])
  replica.ready = false
  t.same(await statuses(), [200, 503, 503])
  t.match((await app.inject('/readyz')).json(), { code: 'NO_QUORUM' })
  replica.ready = true
  intake.drain()
  t.same(await statuses(), [200, 503, 503])
  t.match((await app.inject('/readyz')).json(), { code: 'SHUTTING_DOWN' })
  const refused = await app.inject({ method: 'PUT', url: '/v1/leases/a', payload: { holder: 'h' } })
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { code: 'SHUTTING_DOWN', executed: false })
  t.equal(refused.headers.connection, 'close')
  t.equal(replica.submitted.length, 0)
})

async function counted(t: Test) {
  const lines: string[] = []
  const telemetry = new ServerTelemetry(pino({ base: null }, { write: (line: string) => lines.push(line) }))
  const replica = new FakeReplica()
  const clock = new VirtualClock()
  const app = await createHttp({
    replica,
    clock,
    random: realRandom,
    telemetry,
    metrics: telemetry,
    info: { version: '0' },
  })
  t.teardown(() => app.close())
  const events = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { app, replica, clock, telemetry, events }
}

t.test('metrics count by operation, outcome and reason, under their settled names', async (t) => {
  const { app, replica, telemetry } = await counted(t)
  const put = (payload: object) => app.inject({ method: 'PUT', url: '/v1/leases/a', payload })
  await put({ holder: 'h' })
  await put({ holder: 'h' })
  await put({ holder: 'h', ttlMs: 5 })
  replica.respond = () => ({ code: 19, fields: [3, 'expired'] })
  await app.inject({ method: 'POST', url: '/v1/leases/a/renew', payload: { token: 3 } })
  telemetry.stage('intake', 0.001)
  telemetry.flush(0.002, 17)
  for (const scrape of [1, 2]) {
    const { body, headers, statusCode } = await app.inject('/metrics')
    t.equal(statusCode, 200)
    t.match(headers['content-type'], /^text\/plain/)
    t.match(body, 'leasehold_requests_total{op="acquire",outcome="ok",reason=""} 2', `scrape ${scrape}`)
    t.match(body, 'leasehold_requests_total{op="acquire",outcome="refused",reason="INVALID_ARGUMENT"} 1')
    t.match(body, 'leasehold_requests_total{op="renew",outcome="refused",reason="expired"} 1')
    for (const name of [
      'leasehold_stage_seconds_bucket{le="0.001",stage="intake"} 1',
      'leasehold_flush_seconds_count 1',
      'leasehold_flush_commands_sum 17',
      'leasehold_leases 0',
      'leasehold_waiters 0',
      'leasehold_sessions 0',
      'leasehold_apply_lag 0',
      'leasehold_log_entries 1',
    ])
      t.match(body, name)
  }
})

t.test('one event tells of a unit of work, with what a person needs to find it', async (t) => {
  const { app, events } = await counted(t)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const answer = await app.inject({
    method: 'PUT',
    url: '/v1/leases/a',
    payload: { holder: 'h', ttlMs: 1 },
    headers: { traceparent, 'x-request-id': 'mine-1', 'leasehold-client': 'billing', authorization: 'secret' },
  })
  t.equal(answer.headers['x-request-id'], 'mine-1')
  t.match(answer.json(), { requestId: 'mine-1' })
  t.match(events()[0], {
    event: 'request',
    op: 'acquire',
    class: 4,
    outcome: 'refused',
    reason: 'INVALID_ARGUMENT',
    principal: 'billing',
    request: 'mine-1',
    traceparent,
    status: 400,
    ms: { total: Number },
    depth: 0,
    sampled: 1,
  })
  t.notMatch(JSON.stringify(events()), /secret/)
})

t.test('successes are sampled, errors told, floods cut and counted', async (t) => {
  const { app, events, clock } = await counted(t)
  const put = (payload: object) => app.inject({ method: 'PUT', url: '/v1/leases/a', payload })
  for (let i = 0; i < 250; i++) await put({ holder: 'h' })
  t.same(
    events().map(({ sampled }) => sampled),
    [0.01, 0.01, 0.01],
    'one in a hundred, and it says so',
  )
  for (let i = 0; i < 120; i++) await put({})
  t.equal(events().length, 50)
  clock.advance(1_000)
  t.match(events().at(-1), { event: 'requests.cut', events: 73 })
  await put({})
  t.match(events().at(-1), { event: 'request', outcome: 'refused' }, 'and then they are told again')
})

t.test('a defect is a 500 that tells nothing of the inside', async (t) => {
  const { app, replica, events } = await counted(t)
  replica.getLease = () => {
    throw new TypeError('the inside')
  }
  const answer = await app.inject('/v1/leases/a')
  t.equal(answer.statusCode, 500)
  t.match(answer.json(), { code: 'INTERNAL', retryable: false })
  t.notMatch(answer.body, /inside/)
  t.match(events()[0], { event: 'request.defect', request: answer.json().requestId })
})

t.test('closing twice is fine, and is bounded with connections open', async (t) => {
  const served = await serve({ limits: { drainMs: 100 } })
  const idle = await fetch(`${served.url}/healthz`)
  await idle.text()
  const stuck = fetch(`${served.url}/v1/leases/a`, {
    method: 'PUT',
    body: new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) }),
    headers: { 'content-type': 'application/json' },
    duplex: 'half',
  } as RequestInit).catch((error: Error) => error)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const startMs = performance.now()
  await Promise.all([served.close(), served.close()])
  t.ok(performance.now() - startMs < 2_000)
  t.type(await stuck, Error, 'a request that never ends does not hold a shutdown up')
})

t.test('what was let in before the shutdown is answered, over both fronts', async (t) => {
  const replica = new FakeReplica()
  const served = await serve({ replica, limits: { drainMs: 2_000, graceMs: 200 } })
  const session = await RawSession.connect(served.url, 'busy', 'b'.repeat(32))
  const silent = connect(served.port, '127.0.0.1')
  await new Promise((resolve) => silent.once('connect', resolve))
  replica.respond = () => null
  const put = fetch(`${served.url}/v1/leases/a`, {
    method: 'PUT',
    body: '{"holder":"h"}',
    headers: { 'content-type': 'application/json' },
  })
  const renewal = session.send(OP.renew, ['a', 1])
  await until(() => replica.submitted.length === 2)
  const closed = served.close()
  await until(() => replica.submitted.length === 2 && session.open)
  await new Promise((resolve) => setTimeout(resolve, 30))
  const late = session.send(OP.renew, ['a', 1])
  t.match(await late.last, { code: ERRORS.SHUTTING_DOWN.wire }, 'what comes later is not let in')
  for (const { to, id, attempt, command } of replica.submitted) {
    to.reply(id, attempt, OK, [7, 10, 10, false, `for ${command.op}`])
    to.flush()
  }
  t.equal((await put).status, 200)
  t.match(await renewal.last, { code: OK })
  const startMs = performance.now()
  await closed
  t.ok(performance.now() - startMs < 1_500, 'a silent connection does not hold it up')
  t.equal(session.open, false)
  silent.destroy()
})
