import t, { type Test } from 'tap'
import { exchange, type RawAnswer, request } from '../support/rawhttp.js'
import { BODY, QUOTA_URL as URL, world } from './quotaworld.js'

/** A refusal is a problem document that names what is wrong. */
function refused(t: Test, answer: RawAnswer, status: number, says: RegExp, claim: string): void {
  t.equal(answer.status, status, claim)
  t.match(JSON.parse(answer.body), { code: status === 413 ? 'TOO_LARGE' : 'INVALID_ARGUMENT', detail: says }, claim)
}

t.test('a quota that is none is refused by the field that is wrong', async (t) => {
  const { served, replica } = await world(t)
  const spec = (more: object) => JSON.stringify({ ...BODY, ...more })
  const rate = (more: object) => JSON.stringify({ bandwidths: [{ tokens: 1, perMs: 1_000, ...more }] })
  const cases: [body: string, says: RegExp][] = [
    ['{}', /bandwidths/],
    ['[]', /body must be object/],
    ['{"bandwidths":[]}', /bandwidths/],
    ['{"bandwidths":{}}', /bandwidths/],
    ['{"bandwidths":[5]}', /bandwidths.0/],
    ['{"bandwidths":[{"tokens":1}]}', /perMs/],
    [`{"bandwidths":[${'{"tokens":1,"perMs":1},'.repeat(4)}{"tokens":1,"perMs":2}]}`, /bandwidths/],
    [`{"bandwidths":[${'{"tokens":1,"perMs":1},'.repeat(1)}{"tokens":1,"perMs":1}]}`, /differ in perMs/],
    ...[0, -1, 1.5, 1e9 + 1, '1', null].flatMap((value): [string, RegExp][] => [
      [rate({ tokens: value }), /tokens/],
      [rate({ burst: value }), /burst/],
    ]),
    ...[0, -1, 1.5, 32 * 86_400_000, '1s'].map((perMs): [string, RegExp] => [rate({ perMs }), /perMs/]),
    [rate({ window: 5 }), /unknown field: "window"/],
    [spec({ colour: 'red' }), /unknown field: "colour"/],
    [spec({ parent: '' }), /parent/],
    [spec({ parent: 'a//b' }), /parent/],
    [spec({ parent: 5 }), /parent/],
    ...[0, -1, 1.5, 1_001].map((weight): [string, RegExp] => [spec({ weight }), /weight/]),
    ...[-1, 101, 0.5].map((percent): [string, RegExp] => [spec({ guaranteedPercent: percent }), /guaranteedPercent/]),
    [spec({ guaranteedPercent: 5 }), /guaranteedPercent must be 0 without a parent/],
    [spec({ borrow: false }), /borrow/],
    [spec({ borrow: 'no' }), /borrow/],
    [spec({ initial: 201 }), /initial must be at most/],
    [spec({ initial: -1 }), /initial/],
    [spec({ perKey: 1 }), /perKey/],
    [spec({ perKey: true, parent: 'a' }), /parent must be null/],
    [spec({ whenUnavailable: 'perhaps' }), /whenUnavailable/],
    [spec({ keys: [['k', 'q']] }), /keys must be empty unless perKey/],
    [spec({ perKey: true, keys: [['k']] }), /keys/],
    [spec({ perKey: true, keys: [['', 'q']] }), /keys/],
    [spec({ perKey: true, keys: [['k', 'a b']] }), /keys/],
    [
      spec({
        perKey: true,
        keys: [
          ['k', 'q'],
          ['k', 'r'],
        ],
      }),
      /keys must differ/,
    ],
  ]
  for (const [body, says] of cases)
    refused(t, await exchange(served.port, request('PUT', URL, body)), 400, says, body.slice(0, 80))
  for (const name of ['a%20b', 'a%2F%2Fb', '%2e%2e', '%00', '%C3%A9'])
    refused(t, await exchange(served.port, request('PUT', `/v1/quotas/${name}`, spec({}))), 400, /./, name)
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'after=', 'prefix=%zz', 'color=1'])
    refused(t, await exchange(served.port, request('GET', `/v1/quotas?${query}`)), 400, /./, query)
  t.equal(replica.submitted.length, 0, 'nothing was executed')
})

t.test('a take that is none is refused, and takes nothing', async (t) => {
  const { served, desk } = await world(t)
  const cases: [body: string, says: RegExp][] = [
    ...['0', '-1', '1.5', '1000000001', '1e400', '"1"', 'null', '[1]'].map((cost): [string, RegExp] => [
      `{"cost":${cost}}`,
      /cost/,
    ]),
    ['{"key":""}', /key must not be empty/],
    ['{"key":5}', /key/],
    ['{"key":"\\ud800"}', /surrogate/],
    ['{"upTo":1}', /upTo/],
    ['{"peek":"yes"}', /peek/],
    ['{"upTo":true,"peek":true}', /do not go together/],
    ['{"amount":1}', /unknown field: "amount"/],
    ['[]', /body must be object/],
    ['{"cost":1,"cost":2}', /twice/],
  ]
  for (const [body, says] of cases)
    refused(t, await exchange(served.port, request('POST', `${URL}/take`, body)), 400, says, body)
  const long = (key: string) => request('POST', `${URL}/take`, JSON.stringify({ key }))
  refused(t, await exchange(served.port, long('k'.repeat(10_240))), 413, /key must be at most 255 bytes/, '10 KB')
  refused(t, await exchange(served.port, long('é'.repeat(128))), 413, /key/, 'bytes are counted')
  const many: [body: object, says: RegExp][] = [
    [{}, /items/],
    [{ items: [] }, /items/],
    [{ items: Array(9).fill({ quota: 'a' }) }, /items/],
    [{ items: [{ cost: 1 }] }, /quota/],
    [{ items: [{ quota: 'a b' }] }, /quota/],
    [{ items: [{ quota: 'a', cost: 0 }] }, /cost/],
    [{ items: [{ quota: 'a', upTo: true }] }, /unknown field: "upTo"/],
  ]
  for (const [body, says] of many) {
    const answer = await exchange(served.port, request('POST', '/v1/quotas/take', JSON.stringify(body)))
    refused(t, answer, 400, says, JSON.stringify(body).slice(0, 60))
  }
  for (const query of ['limit=0', 'limit=1001', 'limit=1.5', 'prefix=a'])
    refused(t, await exchange(served.port, request('GET', `${URL}/top?${query}`)), 400, /./, query)
  t.equal(desk.asked.length, 0)
  for (const key of ['\u0000\u001b[2J', 'a b\n', '日本', 'k'.repeat(255)]) {
    t.equal((await exchange(served.port, long(key))).status, 200, JSON.stringify(key).slice(0, 20))
    t.equal(desk.asked.at(-1)?.request.items[0]?.key, key, 'any text is a key')
  }
})
