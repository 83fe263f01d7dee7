/** A quota in front of routes: as a hook of fastify, as middleware over node's own requests, and the headers alone. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Admission, LeaseholdError, type QuotaWish } from '@leasehold/client'
import { type Limiter, rateLimitHeaders, rateLimitHook, rateLimitMiddleware } from '@leasehold/client/ratelimit'
import type { TestCluster } from '@leasehold/client/testing'
import fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { claim } from './claim.js'

const FIVE = { bandwidths: [{ tokens: 5, perMs: 60_000 }] }

/** A service with one route, behind whatever the hook is. */
function service(t: Test, hook: (request: FastifyRequest, reply: never, done: (error?: Error) => void) => void) {
  const app = fastify()
  t.teardown(() => app.close())
  let handled = 0
  app.addHook('onRequest', hook as never)
  app.get('/', async () => ({ handled: ++handled }))
  return {
    get: (headers: Record<string, string> = {}) => app.inject({ method: 'GET', url: '/', headers }),
    handled: () => handled,
  }
}

async function limited(cluster: TestCluster, wish: QuotaWish = FIVE, name = 'api') {
  const client = cluster.client()
  await cluster.until(client.setQuota(name, wish))
  return client
}

claim('a hook lets as many pass as the quota admits, and answers the others', async (t, cluster) => {
  const client = await limited(cluster)
  const { get, handled } = service(t, rateLimitHook(client, 'api'))
  for (let n = 1; n <= 5; n++) t.equal((await cluster.until(get())).statusCode, 200, `request ${n}`)
  const denied = await cluster.until(get())
  t.equal(denied.statusCode, 429)
  t.match(denied.headers['content-type'], /application\/problem\+json/)
  t.match(denied.json(), { status: 429, code: 'QUOTA_EXCEEDED', retryable: true, detail: 'api is used up' })
  const after = Number(denied.headers['retry-after'])
  t.ok(after >= 1 && after <= 16, `${after} s: one flows in each 12 s`)
  t.match(denied.headers.ratelimit, /^"api";r=0;t=\d+$/)
  t.equal(handled(), 5)
  await cluster.advance(after * 1_000)
  t.equal((await cluster.until(get())).statusCode, 200)
})

claim('what a request costs, and which do not count', async (t, cluster) => {
  const client = await limited(cluster)
  const { get, handled } = service(
    t,
    rateLimitHook(client, 'api', {
      cost: (request: FastifyRequest) => Number(request.headers['x-cost'] ?? 1),
      skip: (request: FastifyRequest) => request.headers['x-probe'] === 'yes',
    }),
  )
  t.equal((await cluster.until(get({ 'x-cost': '4' }))).statusCode, 200)
  t.equal((await cluster.until(get({ 'x-cost': '2' }))).statusCode, 429)
  t.equal((await cluster.until(get({ 'x-probe': 'yes', 'x-cost': '9' }))).statusCode, 200)
  t.equal((await cluster.until(get())).statusCode, 200)
  t.equal((await cluster.until(get())).statusCode, 429)
  for (const mistake of ['6', '0', '-1', '1.5', 'NaN']) {
    t.equal((await cluster.until(get({ 'x-cost': mistake }))).statusCode, 500, `a cost of ${mistake} is a mistake`)
  }
  t.equal(handled(), 3)
})

claim('a key has a bucket of its own, and its headers say how full it is', async (t, cluster) => {
  const client = await limited(cluster, { ...FIVE, perKey: true })
  const { get } = service(
    t,
    rateLimitHook(client, 'api', { key: (request: FastifyRequest) => String(request.headers['x-customer']) }),
  )
  const acme = { 'x-customer': 'acme' }
  for (let left = 4; left >= 0; left--) {
    const { statusCode, headers } = await cluster.until(get(acme))
    t.equal(statusCode, 200)
    t.match(headers, { ratelimit: new RegExp(`^"api";r=${left};t=\\d+$`), 'ratelimit-policy': '"api";q=5' })
  }
  const denied = await cluster.until(get(acme))
  t.equal(denied.statusCode, 429)
  t.match(denied.headers, { 'retry-after': /^1\d$/, 'ratelimit-policy': '"api";q=5' })
  t.equal((await cluster.until(get({ 'x-customer': 'globex' }))).statusCode, 200)
  t.equal((await cluster.until(get({ 'x-customer': '' }))).statusCode, 500, 'an empty key is a mistake')
})

claim('a quota that is not there is an error of the program', async (t, cluster) => {
  const { get } = service(t, rateLimitHook(cluster.client(), 'nowhere'))
  const answer = await cluster.until(get())
  t.equal(answer.statusCode, 500)
  t.match(answer.json().message, /no quota nowhere/)
})

/** A limiter that fails, or says what it is told to. */
function limiter(outcome: Admission | Error): Limiter & { readonly asked: unknown[][] } {
  const asked: unknown[][] = []
  const settle = async () => {
    if (outcome instanceof Error) throw outcome
    return outcome
  }
  return {
    asked,
    quota: (name) => ({
      tryTake: () => ({ ok: false, reason: 'cold', retryAfterMs: 20 }),
      take: async (...args) => {
        asked.push([name, ...args])
        await settle()
        return { taken: 1, how: 'exact' }
      },
    }),
    admit: async (...args) => {
      asked.push(args)
      return settle()
    },
  }
}

const unavailable = new LeaseholdError('NO_QUORUM', null, { executed: 'no', retryAfterMs: 2_500 })

t.test('where nobody can say, the request is denied, or passes if that was asked for', async (t) => {
  for (const key of [undefined, () => 'k']) {
    const denying = service(t, rateLimitHook(limiter(unavailable), 'api', key === undefined ? {} : { key }))
    const denied = await denying.get()
    t.equal(denied.statusCode, 503)
    t.equal(denied.headers['retry-after'], '3')
    t.match(denied.json(), { code: 'NO_QUORUM', status: 503, retryable: true })
    const more = key === undefined ? {} : { key }
    const allowing = service(t, rateLimitHook(limiter(unavailable), 'api', { whenUnavailable: 'allow', ...more }))
    t.equal((await allowing.get()).statusCode, 200)
  }
})

t.test('a client that was closed, and what is no error of the library, is an error of the request', async (t) => {
  for (const error of [new LeaseholdError('CLOSED', null, { executed: 'no' }), new TypeError('a defect')]) {
    const { get } = service(t, rateLimitHook(limiter(error), 'api', { whenUnavailable: 'allow' }))
    t.equal((await get()).statusCode, 500)
  }
})

const ADMITTED: Admission = { admitted: true, taken: 1, remaining: 7, limit: 10, resetMs: 2_100, how: 'key' }
const DENIED: Admission = { admitted: false, retryAfterMs: 1_200, remaining: 0, limit: 10, resetMs: 9_000 }

t.test('the headers alone, for those who answer by themselves', async (t) => {
  t.same(rateLimitHeaders('a/b', ADMITTED), { ratelimit: '"a/b";r=7;t=3', 'ratelimit-policy': '"a/b";q=10' })
  t.same(rateLimitHeaders('a/b', DENIED), {
    ratelimit: '"a/b";r=0;t=9',
    'ratelimit-policy': '"a/b";q=10',
    'retry-after': '2',
  })
})

t.test("middleware over node's own requests: passes on, answers, or hands an error to next", async (t) => {
  let outcome: Admission | Error = ADMITTED
  const seen: unknown[][] = []
  const middleware = rateLimitMiddleware(
    {
      quota: () => {
        throw new LeaseholdError('INVALID_ARGUMENT', 'name must not be empty', { executed: 'no' })
      },
      admit: async (...args) => {
        seen.push(args)
        if (outcome instanceof Error) throw outcome
        return outcome
      },
    },
    'api',
    { key: (request: { url?: string | undefined }) => request.url ?? '', cost: 2, wait: '1s' },
  )
  const server = createServer((request, response) => {
    middleware(request, response, (error) => {
      response.statusCode = error === undefined ? 200 : 500
      response.end(error?.message ?? 'handled')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const get = () => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/me`)

  const passed = await get()
  t.equal(await passed.text(), 'handled')
  t.equal(passed.headers.get('ratelimit'), '"api";r=7;t=3')
  t.same(seen, [['api', '/me', 2, { timeout: '1s' }]], 'asked once')
  outcome = DENIED
  const denied = await get()
  t.equal(denied.status, 429)
  t.match(await denied.json(), { code: 'QUOTA_EXCEEDED', retryAfterMs: 1_200 })
  t.equal(denied.headers.get('retry-after'), '2')
  outcome = new LeaseholdError('QUOTA_NOT_FOUND', 'there is no quota api', { executed: 'yes' })
  t.equal(await (await get()).text(), 'there is no quota api')
  t.equal(seen.length, 3)

  const thrown: unknown[] = []
  const broken = rateLimitMiddleware(
    {
      ...limiter(ADMITTED),
      quota: () => {
        throw outcome
      },
    },
    '',
  )
  broken({}, { statusCode: 0, setHeader() {}, end() {} }, (error) => thrown.push(error))
  t.same(thrown, [outcome], 'what is thrown at once goes to next, too')
})
