import t, { type Test } from 'tap'
import { event } from '../support/event.js'
import { sentEvents } from '../support/events.js'
import { type Served, serve } from '../support/member.js'
import { until } from '../support/until.js'
import { FakeReplica } from './fake.js'

async function stream(t: Test, served: Served, query: string, headers = {}) {
  const gone = new AbortController()
  const response = await fetch(`${served.url}/v1/watch${query}`, { headers, signal: gone.signal })
  t.teardown(() => gone.abort())
  const events = response.body === null ? null : sentEvents(response.body)
  return { response, next: async () => (await events?.next())?.value ?? null, leave: () => gone.abort() }
}

async function acquire(served: Served, name: string): Promise<void> {
  await fetch(`${served.url}/v1/leases/${encodeURIComponent(name)}`, {
    method: 'PUT',
    body: '{"holder":"h"}',
    headers: { 'content-type': 'application/json' },
  })
}

t.test('a watch tells of what happens from now on, of its prefix alone', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  await acquire(served, 'a/before')
  const watch = await stream(t, served, '?prefix=a%2F')
  t.equal(watch.response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  t.match(await watch.next(), { id: 'c0ffee.1', comment: 'from here' }, 'a reader that is cut off at once can resume')
  await acquire(served, 'b/1')
  await acquire(served, 'a/1')
  const told = await watch.next()
  t.match(told, { id: 'c0ffee.3', event: 'granted' })
  t.match(JSON.parse(told?.data ?? ''), { seq: 3, cursor: 'c0ffee.3', type: 'granted', name: 'a/1', hash: String })
})

t.test('a watch resumes behind a cursor, from the header before the parameter', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  for (let i = 1; i <= 600; i++)
    await served.app.inject({ method: 'PUT', url: `/v1/leases/n${i}`, payload: { holder: 'h' } })
  const watch = await stream(t, served, '?after=c0ffee.590', { 'last-event-id': 'c0ffee.10' })
  await watch.next()
  const seen: number[] = []
  while (seen.length < 590) seen.push(JSON.parse((await watch.next())?.data ?? '').seq)
  t.same(
    seen,
    Array.from({ length: 590 }, (_, i) => i + 11),
    'over several pages, nothing lost and nothing twice',
  )
  await acquire(served, 'live')
  t.match(await watch.next(), { id: 'c0ffee.601' }, 'and then it is live')
})

t.test('a cursor that cannot be resumed is refused before the stream begins', async (t) => {
  const served = await serve({ replica: new FakeReplica() })
  t.teardown(() => served.close())
  for (const [query, status, _code] of [
    ['?after=c1.99', 410, 'CURSOR_COMPACTED'],
    ['?after=other.0', 410, 'CURSOR_COMPACTED'],
    ['?after=x', 400, 'INVALID_ARGUMENT'],
    ['?prefix=a%20b', 400, 'INVALID_ARGUMENT'],
    ['?since=1', 400, 'INVALID_ARGUMENT'],
  ] as const) {
    const { response } = await stream(t, served, query)
    t.equal(response.status, status, query)
  }
})

t.test('nothing piles up for a reader that does not read, and it still gets everything', async (t) => {
  const replica = new FakeReplica()
  const served = await serve({ replica, limits: { streamBufferBytes: 100_000 } })
  t.teardown(() => served.close())
  const watch = await stream(t, served, '')
  await watch.next()
  const all = 20_000
  let reads = 0
  const read = replica.readEvents
  replica.readEvents = (query) => {
    reads++
    return read(query)
  }
  for (let seq = 1; seq <= all; seq += 100) {
    replica.publish(...Array.from({ length: 100 }, (_, i) => event(seq + i, 'n'.repeat(250))))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const before = reads
  let seen = 0
  for (; seen < all; seen++) {
    const told = await watch.next()
    if (told?.id !== `c1.${seen + 1}`) return t.equal(told?.id, `c1.${seen + 1}`, 'in order')
  }
  t.equal(seen, all)
  t.ok(reads > before, 'what it was behind was read from the history')
})

t.test('a watch whose place is trimmed away is told and ended', async (t) => {
  const replica = new FakeReplica()
  const served = await serve({ replica })
  t.teardown(() => served.close())
  for (let seq = 1; seq <= 2_000; seq++) replica.events.push(event(seq))
  const read = replica.readEvents
  replica.readEvents = async (query) => {
    replica.first = 1_500
    return read({ ...query, limit: 10 })
  }
  const watch = await stream(t, served, '?after=c1.0')
  let last = await watch.next()
  while (last !== null && last.event !== 'end') last = await watch.next()
  t.match(JSON.parse(last?.data ?? '{}'), { code: 'CURSOR_COMPACTED' })
  t.equal(await watch.next(), null, 'nothing follows')
})

t.test('heartbeats keep a quiet stream, a closed one leaves nothing behind, a shutdown ends it', async (t) => {
  const served = await serve({ limits: { heartbeatMs: 20 } })
  t.teardown(() => served.close())
  const watch = await stream(t, served, '')
  await watch.next()
  t.match(await watch.next(), { comment: 'still here' })
  watch.leave()
  await until(() => served.telemetry.requests.some(([op]) => op === 'watch'))
  t.same(served.telemetry.requests, [['watch', 'ok', '']])
  const other = await stream(t, served, '')
  await other.next()
  const closed = served.close()
  let last = await other.next()
  while (last !== null) last = await other.next()
  await closed
  t.pass('the stream came to its end')
})
