import fc from 'fast-check'
import t from 'tap'
import { exchange, request } from '../support/rawhttp.js'
import { world } from './quotaworld.js'

const RUNS = { numRuns: 400 }
const DEFECT = /defect|failed/

const values = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.double(),
  fc.constantFrom('a', 1, 100, true, false, null, 1e308, -0, 2 ** 53, 'deny', 'allow', [['k', 'q']], [{ quota: 'a' }]),
)
const bandwidth = fc.dictionary(fc.constantFrom('tokens', 'perMs', 'burst', 'other'), values)
const FIELDS = ['parent', 'weight', 'guaranteedPercent', 'borrow', 'initial', 'perKey', 'shadow', 'whenUnavailable']
const bodies = fc.oneof(
  fc.json(),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      bandwidths: fc.oneof(fc.constant([{ tokens: 5, perMs: 1_000 }]), fc.array(bandwidth, { maxLength: 5 }), values),
      more: fc.dictionary(fc.constantFrom(...FIELDS, 'keys'), values),
    })
    .map(({ bandwidths, more }) => JSON.stringify({ bandwidths, ...more })),
  fc
    .dictionary(fc.constantFrom('cost', 'key', 'upTo', 'peek', 'items', 'other'), values)
    .map((body) => JSON.stringify(body)),
)
const paths = fc.oneof(
  fc.constantFrom('/v1/quotas', '/v1/quotas/a', '/v1/quotas/a/take', '/v1/quotas/take', '/v1/quotas/a/top'),
  fc.string({ unit: 'grapheme' }).map((text) => `/v1/quotas/${encodeURIComponent(text)}/take`),
  fc.webQueryParameters().map((query) => `/v1/quotas/a/top?${query}`),
)
const methods = fc.constantFrom('GET' as const, 'PUT' as const, 'POST' as const, 'DELETE' as const)
const types = fc.constantFrom('application/json', 'application/json', 'application/msgpack')

t.test('whatever is asked of quotas over HTTP, it is answered, and never with a defect', async (t) => {
  const { served, replica, desk } = await world(t)
  const { port } = served
  await fc.assert(
    fc.asyncProperty(methods, paths, bodies, types, async (method, path, body, type) => {
      const answer = await exchange(port, request(method, path, body, [`Content-Type: ${type}`]))
      if (answer.status < 200 || answer.status >= 500) throw new Error(`${answer.head} ${answer.body}`)
      if (answer.status < 400) return
      const problem = JSON.parse(answer.body)
      if (typeof problem.code !== 'string' || typeof problem.detail !== 'string' || problem.status !== answer.status)
        throw new Error(`no problem document: ${answer.body}`)
    }),
    RUNS,
  )
  const good = (method: 'PUT' | 'POST', path: string, body: object) =>
    exchange(port, request(method, path, JSON.stringify(body), ['Content-Type: application/json']))
  await good('PUT', '/v1/quotas/a', { bandwidths: [{ tokens: 5, perMs: 1_000 }] })
  await good('POST', '/v1/quotas/a/take', {})
  t.notOk(served.telemetry.logs.some(({ event }) => DEFECT.test(event)))
  t.ok(replica.submitted.length > 0 && desk.asked.length > 0, 'what is good is let in')
  for (const { request } of desk.asked)
    for (const { cost } of request.items) if (!Number.isSafeInteger(cost) || cost < 1) t.fail(`cost ${cost}`)
})
