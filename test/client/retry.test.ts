/** Retries: reproducible jitter, and a budget that an endless outage cannot exceed. */
import {
  BACKOFF_BASE_MS,
  BACKOFF_MAX_MS,
  backoffMs,
  DeadlineWheel,
  Due,
  jitter,
  PROBE_EVERY_MS,
  RetryBudget,
} from '@leasehold/client/internals'
import { TestMachine, TestTime } from '@leasehold/client/testing'
import { OP } from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { type Answer, error, FakeWorld } from './fake.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('jitter is a function of client, request and attempt, and spreads over its whole range', async (t) => {
  const u32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  fc.assert(
    fc.property(u32, u32, fc.integer({ min: 1, max: 65_535 }), (client, request, attempt) => {
      const drawn = jitter(client, request, attempt)
      return drawn >= 0 && drawn < 1 && drawn === jitter(client, request, attempt)
    }),
  )
  const buckets = new Array<number>(10).fill(0)
  for (let client = 0; client < 40; client++)
    for (let request = 0; request < 50; request++)
      for (let attempt = 1; attempt <= 5; attempt++) buckets[Math.floor(jitter(client, request, attempt) * 10)]!++
  for (const count of buckets) t.ok(count > 800 && count < 1_200, `${count} of 10,000 in a tenth`)
})

t.test('backoff doubles its bound up to the largest', async (t) => {
  for (let attempt = 1; attempt < 40; attempt++) {
    const boundMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1))
    const drawn = Array.from({ length: 50 }, (_, request) => backoffMs(3, request, attempt))
    t.ok(
      drawn.every((ms) => ms >= 0 && ms < boundMs),
      `attempt ${attempt}: below ${boundMs} ms`,
    )
  }
})

t.test('the budget starts at 10, holds 50, and earns a tenth a success', async (t) => {
  const budget = new RetryBudget()
  let spent = 0
  while (budget.spend(0)) spent++
  t.equal(spent, 10)
  for (let i = 0; i < 10_000; i++) budget.success()
  t.equal(budget.tokens, 50)
  const poor = new RetryBudget()
  while (poor.spend(0));
  for (let i = 0; i < 11; i++) poor.success()
  t.ok(poor.spend(0), 'ten successes pay for a retry')
  t.equal(poor.waitMs(1_000), PROBE_EVERY_MS - 1_000)
})

t.test('a run is repeated by its seed: the same attempts at the same moments', async (t) => {
  const run = async () => {
    const world = new FakeWorld()
    const client = world.client()
    world.answer = () => error('OVERLOADED', 'busy', 0)
    await world.time.until(client.acquire('n').catch(() => {}))
    await world.time.until(client.close())
    return world.received.map((request) => [request.attempt, request.atMs])
  }
  const first = await run()
  t.ok(first.length > 5)
  t.same(await run(), first)
})

t.test('an ensure in a tight loop, with the cluster away, sends no more than the budget allows', async (t) => {
  const outages: Record<string, () => Answer | null> = {
    'no answers': () => null,
    refusals: () => error('OVERLOADED', 'busy', 0),
  }
  for (const [name, outage] of Object.entries(outages)) {
    const world = new FakeWorld()
    const client = world.client()
    const lease = await client.acquire('n', { ttl: '10m' })
    world.answer = outage
    let looping = true
    let failures = 0
    const loop = (async () => {
      while (looping) {
        await lease.ensure('9.8m').catch(() => failures++)
        await turn()
      }
    })()
    await world.time.advance(1_000)
    for (let second = 0; second < 300; second++) await world.time.advance(1_000)
    const sent = world.got(OP.renew).length
    const allowed = 1 + 10 + Math.ceil(301_000 / PROBE_EVERY_MS)
    t.ok(sent >= 10 && sent <= allowed, `${name}: ${sent} sent, ${allowed} allowed`)
    t.ok(failures <= sent + 60, `${name}: and it does not spin (${failures} failures)`)
    t.ok(lease.remainingMs() > 0, `${name}: the lease is still held`)
    world.answer = (request) => world.obliging(request)
    for (let second = 0; second < 15; second++) await world.time.advance(1_000)
    t.ok(lease.remainingMs() > 580_000, `${name}: once the cluster is back, the lease is renewed`)
    looping = false
    await loop
    await world.time.until(client.close())
  }
})

t.test('a connection that opens and breaks again and again costs the budget, too', async (t) => {
  const world = new FakeWorld()
  const client = world.client()
  const lease = await client.acquire('n', { ttl: '10m' })
  world.answer = (request) => {
    world.time.after(1, () => request.connection.close())
    return null
  }
  const loop = (async () => {
    while (lease.lost === null) {
      await lease.ensure('9.8m').catch(() => {})
      await turn()
    }
  })()
  for (let second = 0; second < 120; second++) await world.time.advance(1_000)
  const sent = world.got(OP.renew).length
  t.ok(sent > 5 && sent <= 1 + 10 + 120_000 / PROBE_EVERY_MS, `${sent} sent`)
  await world.time.until(lease.release().catch(() => false))
  await loop
  await world.time.until(client.close())
})

class Probe extends Due {
  readonly firedMs: number[] = []
  override due(nowMs: number): void {
    this.firedMs.push(nowMs)
  }
}

t.test('the wheel calls everything once, never early, and on time, whatever its round', async () => {
  const delays = fc.array(fc.double({ min: 0, max: 20_000, noNaN: true }), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(delays, fc.array(fc.nat(29)), fc.array(fc.nat(29)), async (delaysMs, cleared, moved) => {
      const time = new TestTime()
      const machine = new TestMachine(time)
      const wheel = new DeadlineWheel(machine.clocks())
      const startMs = machine.monotonicMs()
      const probes = delaysMs.map(() => new Probe())
      const dueMs = delaysMs.map((delayMs) => startMs + delayMs)
      for (const [i, probe] of probes.entries()) wheel.set(probe, dueMs[i]!)
      for (const i of moved) {
        if (i >= probes.length) continue
        dueMs[i] = startMs + ((delaysMs[i]! * 7) % 9_000)
        wheel.set(probes[i]!, dueMs[i]!)
      }
      const gone = new Set(cleared.filter((i) => i < probes.length))
      for (const i of gone) wheel.clear(probes[i]!)
      await time.advance(25_000)
      for (const [i, probe] of probes.entries()) {
        const expected = gone.has(i) ? 0 : 1
        if (probe.firedMs.length !== expected) throw new Error(`fired ${probe.firedMs.length} times`)
        if (expected === 1 && !(probe.firedMs[0]! >= dueMs[i]! && probe.firedMs[0]! < dueMs[i]! + 1))
          throw new Error(`due at ${dueMs[i]}, fired at ${probe.firedMs[0]}`)
      }
      if (wheel.count !== 0) throw new Error('something is left')
    }),
    { numRuns: 60 },
  )
})
