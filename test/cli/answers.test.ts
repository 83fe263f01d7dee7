/** How the commands read what a server answers, against a server that says whatever a test wants. */
import { EventEmitter, once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { leasehold, startLeasehold } from './process.js'

async function answering(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Answers every request with this. */
function always(status: number, body: unknown): RequestListener {
  return (_request, response) => response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
}

t.test('a problem document becomes one line and an exit code', async (t) => {
  const cases: [number, object, number, RegExp][] = [
    [
      409,
      { code: 'LEASE_HELD', holder: 'b', remainingMs: 7312 },
      1,
      /^leasehold: held by b for another 7\.3 s \(LEASE_HELD\)\n$/,
    ],
    [410, { code: 'LEASE_LOST', token: 3, reason: 'revoked' }, 1, /token 3 has ended: revoked \(LEASE_LOST\)/],
    [
      404,
      { code: 'LEASE_NOT_FOUND', title: 'No such lease', detail: 'Nobody holds it.' },
      1,
      /: Nobody holds it \(LEASE_NOT/,
    ],
    [503, { code: 'OVERLOADED', detail: 'Busy', retryAfterMs: 80 }, 3, /: Busy \(OVERLOADED\); try again in 80 ms\n/],
    [504, { code: 'OUTCOME_UNKNOWN', title: 'Outcome unknown' }, 3, /Outcome unknown/],
    [500, { code: 'AUDIT_CORRUPT', title: 'The audit is damaged here' }, 1, /damaged/],
    [400, { code: 'OF_A_LATER_VERSION', detail: 'Something new' }, 1, /Something new \(OF_A_LATER_VERSION\)/],
  ]
  for (const [status, body, code, line] of cases) {
    const url = await answering(t, always(status, body))
    const outcome = await leasehold(['lease', 'get', 'a', '--url', url, '--json'])
    t.equal(outcome.code, code, `${status}`)
    t.match(outcome.err, line)
    t.same(JSON.parse(outcome.out), body, 'with --json the document goes to stdout')
  }
})

t.test(
  'of several members the first that serves is asked; what may have been executed is not asked for again',
  async (t) => {
    const asked: string[] = []
    const member = (name: string, status: number, body: object) =>
      answering(t, (request, response) => {
        asked.push(name)
        always(status, body)(request, response)
      })
    const lease = { name: 'a', holder: 'h', token: 3, ttlMs: 1, remainingMs: 1, state: 'held', waiters: 0, meta: null }
    const gone = await answering(t, always(200, lease))
    const going = await member('going', 503, { code: 'SHUTTING_DOWN' })
    const alone = await member('alone', 503, { code: 'NO_QUORUM', detail: 'No quorum here', retryAfterMs: 9_000 })
    const serving = await member('serving', 200, lease)
    const unsure = await member('unsure', 504, { code: 'OUTCOME_UNKNOWN', title: 'Outcome unknown' })
    const nobody = 'http://127.0.0.1:9'
    const found = await leasehold(['lease', 'get', 'a', '--json'], {
      LEASEHOLD_URL: [nobody, going, alone, serving, gone].join(),
    })
    t.same([found.code, JSON.parse(found.out)], [0, lease])
    t.same(asked, ['going', 'alone', 'serving'])
    const doubt = await leasehold(['lease', 'release', 'a', '--token', '3', '--url', `${unsure},${serving}`])
    t.same([doubt.code, asked.at(-1)], [3, 'unsure'])
    for (const urls of [`${nobody}, ${alone}`, `${alone}, ${nobody}`]) {
      const none = await leasehold(['lease', 'get', 'a', '--url', urls, '--timeout', '1s'])
      t.equal(none.code, 3)
      t.match(none.err, /No quorum here/, 'one of them says why')
    }
    const typo = await leasehold(['lease', 'get', 'a', '--url', `${serving},,${serving}`])
    t.equal(typo.code, 2)
  },
)

t.test(
  'while nobody leads a command asks again, a change too, until its timeout; never after any other refusal',
  async (t) => {
    let asked = 0
    const electing = (times: number, then: RequestListener): RequestListener => {
      asked = 0
      return (request, response) =>
        (++asked > times ? then : always(503, { code: 'NO_QUORUM', detail: 'None yet', retryAfterMs: 10 }))(
          request,
          response,
        )
    }
    const granted = always(200, { name: 'a', holder: 'h', token: 3, ttlMs: 1_000, remainingMs: 1_000 })
    const late = await answering(t, electing(2, granted))
    const outcome = await leasehold(['lease', 'acquire', 'a', '--url', late])
    t.match([outcome.code, asked, outcome.out], [0, 3, /token\s+3/])
    const busy = await answering(t, electing(1, always(503, { code: 'OVERLOADED', detail: 'Busy', retryAfterMs: 10 })))
    t.match(await leasehold(['lease', 'acquire', 'a', '--url', busy]), { code: 3, err: /Busy/ })
    t.equal(asked, 2)
    const never = await answering(t, electing(Number.POSITIVE_INFINITY, granted))
    t.match(await leasehold(['lease', 'renew', 'a', '--token', '3', '--url', never, '--timeout', '500ms']), {
      code: 3,
      err: /None yet \(NO_QUORUM\)/,
    })
    t.ok(asked > 1 && asked <= 6, `asked ${asked} times`)
  },
)

t.test('what is no Leasehold server is called so', async (t) => {
  const url = await answering(t, always(502, '<html>Bad gateway</html>'))
  const outcome = await leasehold(['status', '--url', url])
  t.equal(outcome.code, 3)
  t.match(outcome.err, /answered 502, but not as a Leasehold server would/)
})

t.test('no answer: refused, closed, too slow, interrupted', async (t) => {
  const asked = new EventEmitter()
  const url = await answering(t, (request) => {
    if (request.method === 'GET') request.socket.destroy()
    asked.emit(request.method ?? '')
  })
  const closed = await leasehold(['lease', 'get', 'a', '--url', url])
  t.equal(closed.code, 3)
  t.match(closed.err, /closed the connection\n/)

  const slow = await leasehold(['lease', 'revoke', 'a', '--url', url, '--timeout', '100ms'])
  t.equal(slow.code, 3)
  t.match(slow.err, /no answer from .* within 100 ms; the request may or may not have been executed/)

  const put = once(asked, 'PUT')
  const interrupted = startLeasehold(['lease', 'acquire', 'a', '--url', url, '--wait', '1m'])
  await put
  interrupted.child.kill('SIGINT')
  t.match(await interrupted.done, { code: 3, err: /interrupted; the request may/ })

  const nobody = await leasehold(['status'], { LEASEHOLD_URL: 'http://127.0.0.1:1' })
  t.equal(nobody.code, 3)
  t.match(nobody.err, /nothing listens at http:\/\/127\.0\.0\.1:1: start a server/)
})

t.test('a request carries what was asked for', async (t) => {
  const seen: { method: string; url: string; headers: object; body: unknown }[] = []
  const url = await answering(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: body && JSON.parse(body),
    })
    const grant = { name: 'a/b', holder: 'h', token: 17, ttlMs: 5000, remainingMs: 5000, replayed: false }
    response.writeHead(request.method === 'PUT' ? 202 : 200)
    response.end(JSON.stringify(request.method === 'PUT' ? { offered: true, token: 17, claimWithinMs: 3000 } : grant))
  })
  const options = [
    '--ttl',
    '5000',
    '--wait',
    '1m',
    '--holder',
    'h',
    '--priority',
    '-3',
    '--lock-delay',
    '2s',
    '--meta',
    'é',
    '--key',
    'k1',
  ]
  const outcome = await leasehold(['lease', 'acquire', 'a/b', ...options, '--client', 'me', '--url', `${url}/`])
  t.match(outcome, { code: 0, out: /token {3}17/, err: '' })
  t.match(seen, [
    {
      method: 'PUT',
      url: '/v1/leases/a%2Fb',
      headers: { 'leasehold-client': 'me', 'idempotency-key': 'k1', accept: 'application/json' },
      body: { holder: 'h', ttlMs: 5000, waitMs: 60000, priority: -3, lockDelayMs: 2000, meta: 'é' },
    },
    { method: 'POST', url: '/v1/leases/a%2Fb/renew', body: { token: 17 } },
  ])
})

t.test('a watch prints changes as they come, and says from where to go on', async (t) => {
  const event = {
    seq: 7,
    type: 'granted',
    name: 'a',
    holder: 'h',
    token: 3,
    reason: null,
    cause: 'acquire',
    at: '2026-01-02T03:04:05.678Z',
  }
  const url = await answering(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`id: c.6\n: from here\n\nid: c.7\nevent: change\ndata: ${JSON.stringify(event)}\n\n`)
    response.end(`id: c.8\r\ndata: ${JSON.stringify({ ...event, seq: 8, type: 'expired', reason: 'expired' })}\r\n\r\n`)
  })
  const lines = await leasehold(['lease', 'watch', '--url', url])
  t.equal(
    lines.out,
    '2026-01-02T03:04:05.678Z  granted      a  h  3  acquire\n2026-01-02T03:04:05.678Z  expired      a  h  3  expired\n',
  )
  t.match(lines, { code: 3, err: /the server ended the stream; go on with --after c\.8/ })
  const gone = { code: 'CURSOR_COMPACTED', status: 410, detail: 'Too far behind' }
  const behind = await answering(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`id: c.6\n: from here\n\nevent: end\ndata: ${JSON.stringify(gone)}\n\n`)
  })
  t.match(await leasehold(['lease', 'watch', '--url', behind]), {
    code: 1,
    err: 'leasehold: Too far behind (CURSOR_COMPACTED); go on with --after c.6\n',
  })
  const one = await leasehold(['lease', 'watch', '--url', url, '--json', '--count', '1'])
  t.equal(one.code, 0)
  t.same(JSON.parse(one.out), { cursor: 'c.7', event })
})
