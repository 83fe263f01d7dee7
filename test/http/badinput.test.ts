import { encode } from '@msgpack/msgpack'
import t, { type Test } from 'tap'
import { type Served, serve } from '../support/member.js'
import { exchange, type RawAnswer, request } from '../support/rawhttp.js'

const QUICK = { headersMs: 300, requestMs: 600, checkConnectionsMs: 50 }
const FINE = '{"holder":"h"}'

/** A refusal is a problem document with the code's own status, and names what is wrong. */
function refused(t: Test, answer: RawAnswer, status: number, code: string, says: RegExp, claim: string): void {
  t.equal(answer.status, status, claim)
  t.match(answer.head, /content-type: application\/problem\+json/i, claim)
  const problem = JSON.parse(answer.body) as Record<string, unknown>
  t.match(problem, { code, status, title: String, detail: says, retryable: Boolean }, claim)
}

async function served(t: Test, limits = {}): Promise<Served> {
  const world = await serve({ limits })
  t.teardown(() => world.close())
  return world
}

t.test('names that are none are refused, names at the limit work', async (t) => {
  const { port } = await served(t)
  const bad: [path: string, says: RegExp][] = [
    ['', /name must not be empty/],
    ['..', /segment/],
    ['.', /segment/],
    ['%2e%2E', /segment/],
    ['a%2F..%2Fb', /name must not have a segment/],
    ['a%2F%2Fb', /empty segment/],
    ['%2Fa', /empty segment/],
    ['a%20b', /name may only have/],
    ['a%252Fb', /name may only have/],
    ['%C3%A9', /name may only have/],
    ['a%00', /name may only have/],
    ['a;b', /name may only have/],
    ['%zz', /not a valid url/],
    ['%', /not a valid url/],
    ['%f', /not a valid url/],
    ['%ff', /not a valid url/],
    ['a'.repeat(256), /at most 255 bytes/],
    ['%61'.repeat(256), /at most 255 bytes/],
  ]
  for (const [path, says] of bad)
    refused(t, await exchange(port, request('PUT', `/v1/leases/${path}`, FINE)), 400, 'INVALID_ARGUMENT', says, path)
  const dots = await exchange(port, request('GET', '/v1/leases/../leases'))
  refused(t, dots, 400, 'INVALID_ARGUMENT', /segment/, 'a path is never folded')
  const long = await exchange(port, request('GET', `/v1/leases/${'a'.repeat(5_000)}`))
  refused(t, long, 413, 'TOO_LARGE', /url/, 'a URL over the limit')
  for (const name of ['a'.repeat(255), '%62'.repeat(255), 'a%2Fb%2Fc.d_e%3Af%40g-1'])
    t.equal((await exchange(port, request('PUT', `/v1/leases/${name}`, FINE))).status, 200, name.slice(0, 20))
  const encoded = await exchange(port, request('PUT', `/v1/leases/${'%61'.repeat(255)}`, FINE))
  t.equal(encoded.status, 409, 'encoded or not, it is the same name')
})

t.test('fields out of their bounds are refused by name', async (t) => {
  const { port, replica } = await served(t)
  const acquire: [body: string, says: RegExp][] = [
    ...['0', '-1', '99', '86400001', '1e309', '-1e309', '1.5', '"10"', 'true', 'null', '[]'].map(
      (ttl): [string, RegExp] => [`{"holder":"h","ttlMs":${ttl}}`, /ttlMs/],
    ),
    ['{"holder":"h","waitMs":3600001}', /waitMs/],
    ['{"holder":"h","priority":1001}', /priority/],
    ['{"holder":"h","lockDelayMs":-1}', /lockDelayMs/],
    ['{"holder":"h","meta":5}', /meta/],
    ['{"holder":""}', /holder must not be empty/],
    ['{"holder":"a b"}', /holder may only have/],
    ['{"holder":"\\ud800"}', /holder may only have/],
    [`{"holder":"${'h'.repeat(256)}"}`, /holder must be at most 255/],
    ['{"holder":5}', /holder/],
    ['{}', /"holder"/],
    ['{"holder":"h","ttl":5,"color":"red"}', /unknown field: "ttl", "color"/],
  ]
  for (const [body, says] of acquire)
    refused(t, await exchange(port, request('PUT', '/v1/leases/a', body)), 400, 'INVALID_ARGUMENT', says, body)
  const meta = await exchange(port, request('PUT', '/v1/leases/a', `{"holder":"h","meta":"${'é'.repeat(513)}"}`))
  refused(t, meta, 413, 'TOO_LARGE', /meta must be at most 1024 bytes/, 'bytes are counted, not characters')
  for (const token of ['0', '-1', '1.5', '9007199254740992', '1e400', '"1"', 'null', 'true', '[1]']) {
    const body = `{"token":${token}}`
    for (const verb of ['renew', 'release'])
      refused(
        t,
        await exchange(port, request('POST', `/v1/leases/a/${verb}`, body)),
        400,
        'INVALID_ARGUMENT',
        /token/,
        body,
      )
  }
  const to = await exchange(port, request('POST', '/v1/leases/a/transfer', '{"token":1,"to":".."}'))
  refused(t, to, 400, 'INVALID_ARGUMENT', /to must not/, 'transfer')
  t.equal(replica.status.leases, 0, 'nothing was executed')
})

t.test('bodies that are none are refused', async (t) => {
  const { port } = await served(t)
  const bad: [body: string | Buffer, says: RegExp][] = [
    ['', /empty/],
    ['{', /not JSON/],
    ['{"holder":"h"}x', /not JSON/],
    ['{"holder":NaN}', /not JSON/],
    ['{"holder":"h",}', /not JSON/],
    ["{'holder':'h'}", /not JSON/],
    ['[]', /body must be object/],
    ['null', /body must be object/],
    ['"h"', /body must be object/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    ['['.repeat(30_000), /deeper than 4/],
    ['{"a":'.repeat(9_000), /deeper than 4/],
    ['{"holder":"h","holder":"i"}', /twice/],
    ['{"holder":"h","\\u0068older":"i"}', /twice/],
    ['{"holder":"h","__proto__":{"ttlMs":5}}', /__proto__/],
    ['{"holder":"h","constructor":{"prototype":{}}}', /constructor/],
  ]
  for (const [body, says] of bad)
    refused(
      t,
      await exchange(port, request('PUT', '/v1/leases/a', body)),
      400,
      'INVALID_ARGUMENT',
      says,
      String(body).slice(0, 30),
    )
  const large = await exchange(port, request('PUT', '/v1/leases/a', `{"holder":"${'h'.repeat(65_536)}"}`))
  refused(t, large, 413, 'TOO_LARGE', /too large/i, 'over 64 KiB')
  const type = (contentType: string) => [`Content-Type: ${contentType}`]
  for (const other of ['application/x-www-form-urlencoded', 'text/plain', 'application/xml', ';;']) {
    const answer = await exchange(port, request('PUT', '/v1/leases/a', FINE, type(other)))
    refused(t, answer, 415, 'UNSUPPORTED_MEDIA_TYPE', /application\/json/, other)
  }
  const msgpack: [body: Uint8Array, says: RegExp][] = [
    [Buffer.from([0xc1]), /not MessagePack/],
    [Buffer.from([0x81, 0xa1]), /not MessagePack/],
    [Buffer.concat([encode({ holder: 'h' }), Buffer.from([0])]), /not MessagePack/],
    [encode(['h']), /body must be object/],
    [encode({ holder: 'h', ttlMs: 1.5 }), /ttlMs/],
    [Buffer.from([0x82, 0xa1, 0x61, 0x01, 0xa1, 0x61, 0x02]), /twice/],
    [Buffer.alloc(30_000, 0x91), /MessagePack|object/],
  ]
  for (const [body, says] of msgpack) {
    const answer = await exchange(port, request('PUT', '/v1/leases/a', Buffer.from(body), type('application/msgpack')))
    refused(t, answer, 400, 'INVALID_ARGUMENT', says, Buffer.from(body).toString('hex').slice(0, 20))
  }
})

t.test('query parameters and headers are held to the contract, too', async (t) => {
  const { port } = await served(t)
  for (const [query, says] of [
    ['limit=0', /limit/],
    ['limit=1001', /limit/],
    ['limit=1e3', /limit/],
    ['limit=x', /limit/],
    ['limit=1&limit=2', /limit/],
    ['colour=red', /unknown query parameter: "colour"/],
    ['__proto__=1', /unknown query parameter: "__proto__"/],
    ['prefix=%zz', /prefix may only have/],
    ['after=', /after must not be empty/],
  ] as const)
    refused(t, await exchange(port, request('GET', `/v1/leases?${query}`)), 400, 'INVALID_ARGUMENT', says, query)
  const onPut = await exchange(port, request('PUT', '/v1/leases/a?ttlMs=5', FINE))
  refused(t, onPut, 400, 'INVALID_ARGUMENT', /unknown query parameter: "ttlMs"/, 'also where there are none')
  for (const [header, says] of [
    ['Leasehold-Client: a b', /Leasehold-Client/],
    ['Idempotency-Key: a b', /Idempotency-Key/],
    [`Idempotency-Key: ${'k'.repeat(256)}`, /Idempotency-Key/],
    ['Idempotency-Key:', /Idempotency-Key/],
  ] as const) {
    const answer = await exchange(port, request('PUT', '/v1/leases/a', FINE, [header]))
    refused(t, answer, 400, 'INVALID_ARGUMENT', says, header)
  }
  const html = await exchange(port, request('GET', '/v1/leases', undefined, ['Accept: text/html']))
  refused(t, html, 406, 'NOT_ACCEPTABLE', /application\/json/, 'nothing is executed for who cannot read the answer')
})

t.test('unknown routes and methods', async (t) => {
  const { port } = await served(t)
  for (const path of ['/', '/v1', '/v2/leases', '/v1/leases/a/b', '//v1/leases', '/V1/leases', '/v1/leases/a/renew/'])
    refused(t, await exchange(port, request('GET', path)), 404, 'ROUTE_NOT_FOUND', /openapi/, path)
  for (const [method, path, allow] of [
    ['PATCH', '/v1/leases/a', 'DELETE, GET, HEAD, PUT'],
    ['POST', '/v1/leases/a%2Fb', 'DELETE, GET, HEAD, PUT'],
    ['PROPFIND', '/v1/leases/a', 'DELETE, GET, HEAD, PUT'],
    ['OPTIONS', '/v1/leases', 'GET, HEAD'],
    ['GET', '/v1/leases/a/renew', 'POST'],
    ['DELETE', '/v1/history?limit=1', 'GET, HEAD'],
    ['POST', '/healthz', 'GET, HEAD'],
  ] as const) {
    const answer = await exchange(port, request(method, path))
    refused(t, answer, 405, 'METHOD_NOT_ALLOWED', /not allowed here/, `${method} ${path}`)
    t.match(answer.head.toLowerCase(), `allow: ${allow.toLowerCase()}`)
  }
})

t.test('what is no HTTP, or comes too slowly, is answered and closed', async (t) => {
  const { port } = await served(t, QUICK)
  for (const [bytes, status, says] of [
    ['\x16\x03\x01garbage\r\n\r\n', 400, /no HTTP/],
    ['FOO /v1/leases HTTP/1.1\r\n\r\n', 400, /no HTTP/],
    ['GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, /Host/],
    [
      'PUT /v1/leases/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n',
      400,
      /HTTP/,
    ],
    ['', 408, /in time/],
    ['GET /heal', 408, /in time/],
    ['GET /healthz HTTP/1.1\r\nHo', 408, /in time/],
    [
      'PUT /v1/leases/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"hol',
      408,
      /in time/,
    ],
  ] as const)
    refused(t, await exchange(port, bytes), status, 'INVALID_ARGUMENT', says, JSON.stringify(bytes.slice(0, 40)))
  const header = await exchange(port, request('GET', '/healthz', undefined, [`X-Large: ${'x'.repeat(20_000)}`]))
  refused(t, header, 413, 'TOO_LARGE', /header/, 'a header over the limit')
  const expects = await exchange(port, request('PUT', '/v1/leases/a', FINE, ['Expect: the-unexpected']))
  t.equal(expects.status, 400)
  t.equal((await exchange(port, request('GET', '/healthz'))).status, 200, 'and everybody else is served')
})

t.test('an offer to go on in another protocol is passed over', async (t) => {
  const { port } = await served(t)
  const offer = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
  const answer = await exchange(port, request('PUT', '/v1/leases/a', FINE, offer), 300)
  t.equal(answer.status, 200)
  const webSocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  for (const [path, headers, status, code, says] of [
    ['/v1/leases', [...webSocket, key], 400, 'INVALID_ARGUMENT', /only \/v1\/session/],
    ['/v1/session', webSocket, 400, 'INVALID_ARGUMENT', /Sec-WebSocket-Key/],
    ['/v1/session', [...webSocket.slice(0, 2), key], 400, 'INVALID_ARGUMENT', /Sec-WebSocket-Version/],
    ['/v1/session', [...webSocket, key, 'Origin: http://elsewhere'], 403, 'FORBIDDEN', /origin/],
    ['/nowhere', [...webSocket, key], 404, 'ROUTE_NOT_FOUND', /openapi/],
    ['/v1/session', [], 400, 'INVALID_ARGUMENT', /WebSocket/],
  ] as const) {
    const bytes = request('GET', path, undefined, headers)
      .toString()
      .replace('Connection: close\r\n', headers.length > 0 ? '' : 'Connection: close\r\n')
    refused(t, await exchange(port, bytes, 1_000), status, code, says, `${path} ${headers.length}`)
  }
})
