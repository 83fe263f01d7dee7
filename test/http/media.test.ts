import { decode, encode } from '@msgpack/msgpack'
import t from 'tap'
import { serve } from '../support/member.js'
import { FakeReplica } from './fake.js'

t.test('JSON or MessagePack, both ways, as headers ask', async (t) => {
  const served = await serve({ replica: new FakeReplica() })
  t.teardown(() => served.close())
  const send = (headers: Record<string, string>, body: Uint8Array | string) =>
    served.app.inject({ method: 'PUT', url: '/v1/leases/a', headers, payload: Buffer.from(body) })
  const granted = { name: 'a', holder: 'h', token: 7, ttlMs: 10_000, remainingMs: 10_000, replayed: false }
  const json = { 'content-type': 'application/json' }
  const packed = encode({ holder: 'h' })
  for (const type of ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack']) {
    const answer = await send({ 'content-type': type, accept: type }, packed)
    t.equal(answer.headers['content-type'], 'application/msgpack')
    t.same(decode(answer.rawPayload), granted)
  }
  for (const [accept, type] of [
    ['application/json;q=0.5, application/msgpack', 'application/msgpack'],
    ['application/msgpack;q=0.5, application/json', 'application/json'],
    ['application/msgpack, application/json', 'application/json'],
    ['application/json;q=0, */*', 'application/msgpack'],
    ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
    ['application/*', 'application/json'],
    ['', 'application/json'],
  ] as const) {
    const answer = await send({ ...json, accept }, '{"holder":"h"}')
    t.equal(answer.statusCode, 200, accept)
    t.ok(String(answer.headers['content-type']).startsWith(type), accept)
  }
  const utf8 = await send({ 'content-type': 'application/json; charset=utf-8' }, '{"holder":"h"}')
  t.equal(utf8.statusCode, 200)
  const problem = await send({ ...json, accept: 'application/msgpack' }, '{}')
  t.equal(problem.headers['content-type'], 'application/msgpack')
  t.match(decode(problem.rawPayload), { code: 'INVALID_ARGUMENT' }, 'who cannot read JSON can read what is wrong')
})

t.test('nothing is executed for a reader that could not read the answer', async (t) => {
  const replica = new FakeReplica()
  const served = await serve({ replica })
  t.teardown(() => served.close())
  for (const accept of ['text/html', 'application/json;q=0', 'image/*', 'a'.repeat(2_000), 'application/json;q=2']) {
    const answer = await served.app.inject({
      method: 'PUT',
      url: '/v1/leases/a',
      headers: { accept },
      payload: { holder: 'h' },
    })
    t.equal(answer.statusCode, 406, accept.slice(0, 30))
    t.match(answer.json(), { code: 'NOT_ACCEPTABLE' })
  }
  t.equal(replica.submitted.length, 0)
})
