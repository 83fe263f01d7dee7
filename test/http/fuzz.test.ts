import { OP, type Op, RequestFrameWriter } from '@leasehold/protocol'
import { createIntake } from '@leasehold/server/intake'
import { createQuotas } from '@leasehold/server/quota'
import { createSessions } from '@leasehold/server/session'
import fc from 'fast-check'
import t from 'tap'
import { memoryReplica, serve } from '../support/member.js'
import { hello, Peer } from '../support/pair.js'
import { exchange, request } from '../support/rawhttp.js'
import { Remembered, realClock, realRandom } from '../support/real.js'

const RUNS = { numRuns: 400 }
const DEFECT = /defect|failed/

/** Mostly fields that exist, with values of any kind: what a careless or hostile client would send. */
const bodies = fc.oneof(
  fc.string(),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json(),
  fc
    .dictionary(
      fc.constantFrom('holder', 'ttlMs', 'waitMs', 'priority', 'lockDelayMs', 'meta', 'token', 'to', 'other'),
      fc.oneof(fc.jsonValue(), fc.double(), fc.integer(), fc.constantFrom('h', 1, 1_000, 1e308, -0, 2 ** 53)),
    )
    .map((body) => JSON.stringify({ ...body, ...('waitMs' in body && { waitMs: 0 }) })),
)
const paths = fc.oneof(
  fc.webPath().map((path) => `/${path}`),
  fc.string({ unit: 'grapheme' }).map((text) => `/v1/leases/${encodeURIComponent(text)}`),
  fc.constantFrom('/v1/leases/a', '/v1/leases/a/renew', '/v1/leases/a/release', '/v1/leases/a/transfer', '/v1/leases'),
  fc.webQueryParameters().map((query) => `/v1/history?${query}`),
)
const types = fc.constantFrom('application/json', 'application/msgpack', 'text/plain', '')
const methods = fc.constantFrom('GET' as const, 'PUT' as const, 'POST' as const, 'DELETE' as const, 'PATCH' as const)

t.test('whatever is sent over HTTP, it is answered, and never with a defect', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  await fc.assert(
    fc.asyncProperty(methods, paths, bodies, types, async (method, path, body, type) => {
      const headers = type === '' ? [] : [`Content-Type: ${type}`]
      const { status, head, body: text } = await exchange(served.port, request(method, path, body, headers))
      if (status < 200 || status >= 500) throw new Error(`${head} ${text}`)
      if (status < 400) return
      const problem = JSON.parse(text)
      if (typeof problem.code !== 'string' || typeof problem.detail !== 'string' || problem.status !== status)
        throw new Error(`no problem document: ${text}`)
    }),
    RUNS,
  )
  t.notOk(served.telemetry.logs.some(({ event }) => DEFECT.test(event)))
})

async function sessions() {
  const telemetry = new Remembered()
  const replica = await memoryReplica({ telemetry })
  const quotas = createQuotas({ replica, clock: realClock, random: realRandom, telemetry })
  const intake = createIntake({ replica, clock: realClock, random: realRandom, telemetry, quotas })
  const all = createSessions({ replica, intake, clock: realClock, telemetry, info: { leaderUrl: null } })
  const close = async () => {
    all.close()
    intake.close()
    await replica.close()
  }
  return { all, intake, telemetry, close }
}

const values = fc.oneof(
  fc.constantFrom(1, 0, null, 'a', 'h', 10_000, -1, 1.5, 2 ** 53, '', [], true),
  fc.string(),
  fc.double(),
)
const requests = fc.array(
  fc.record({
    op: fc.oneof(fc.constantFrom(...Object.values(OP)), fc.nat(255)),
    attempt: fc.nat(3),
    remainingMs: fc.constantFrom(0, 1, 10_000),
    fields: fc.oneof(
      fc.array(values, { maxLength: 11 }),
      fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 5 })),
      fc.tuple(...[1, 1, 0, 'a', 'h', 100, 0, 0, 0, null].map((value) => fc.oneof(fc.constant(value), values))),
    ),
  }),
  { maxLength: 12 },
)

t.test('every request of every frame is answered once, whatever is in it', async (t) => {
  const { all, intake, telemetry, close } = await sessions()
  t.teardown(close)
  const peer = new Peer(all)
  let id = 0
  await fc.assert(
    fc.asyncProperty(requests, async (frame) => {
      const before = peer.replies.length
      const writer = new RequestFrameWriter()
      // A waiting acquire is answered later: its fields are kept from waiting.
      for (const { op, attempt, remainingMs, fields } of frame)
        writer.add(
          op as Op,
          attempt,
          id++,
          remainingMs,
          op === OP.acquire ? (fields.length > 6 ? fields.with(6, 0) : fields) : fields,
        )
      peer.handle.message(writer.take())
      for (let turns = 0; peer.replies.length < before + frame.length && turns < 1_000; turns++)
        await new Promise((resolve) => setImmediate(resolve))
      const ids = peer.replies.slice(before).map((reply) => reply[0])
      if (new Set(ids).size !== frame.length || ids.length !== frame.length)
        throw new Error(`${ids.length} replies to ${frame.length} requests`)
      if (peer.closedWith !== null) throw new Error(`closed with ${peer.closedWith}`)
    }),
    RUNS,
  )
  t.same([intake.inFlight, intake.inFlightBytes, intake.waiting], [0, 0, 0])
  t.notOk(telemetry.logs.some(({ event }) => DEFECT.test(event)))
})

t.test('bytes that are no frames end their own session and no other', async (t) => {
  const { all, intake, telemetry, close } = await sessions()
  t.teardown(close)
  const bystander = new Peer(all, hello({ sessionId: 'b'.repeat(32) }))
  const valid = new RequestFrameWriter()
  valid.add(OP.renew, 1, 1, 1_000, ['a', 1])
  valid.add(OP.acquire, 1, 2, 1_000, [1, 1, 0, 'a', 'h', 1_000, 0, 0, 0, null])
  const frame = valid.take()
  const damaged = fc.tuple(fc.nat(frame.length - 1), fc.nat(255), fc.nat(frame.length)).map(([at, byte, end]) => {
    const bytes = frame.slice(0, end)
    if (at < end) bytes[at] = byte
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), damaged), fc.boolean(), (bytes, greeted) => {
      const peer = new Peer(all, greeted ? hello() : null)
      peer.handle.message(bytes)
      if (peer.closedWith !== null && peer.refused === null) throw new Error('closed without a word')
      if (peer.closedWith === null && !greeted) throw new Error('let in without a greeting')
      peer.close(1000)
    }),
    RUNS,
  )
  t.equal(bystander.closedWith, null)
  t.equal(all.count, 1)
  await new Promise((resolve) => setImmediate(resolve))
  t.same([intake.inFlight, intake.inFlightBytes], [0, 0])
  t.notOk(telemetry.logs.some(({ event }) => DEFECT.test(event)))
})
