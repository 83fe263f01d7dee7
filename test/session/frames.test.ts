import { randomBytes } from 'node:crypto'
import { decodeRefused, ERRORS, FRAME_KIND, LIMITS, OK, OP, openFrame, RequestFrameWriter } from '@leasehold/protocol'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { type Served, serve } from '../support/member.js'
import { hello } from '../support/pair.js'
import { RawSession } from '../support/rawsession.js'

interface End {
  readonly code: number
  readonly refused: { code: number; detail: string } | null
}

/** Opens a connection, sends these messages as they are, and tells how it ended. */
function ended(served: Served, messages: readonly (Uint8Array | string)[], limitMs = 3_000): Promise<End> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${served.url.replace('http', 'ws')}/v1/session`)
    let refused: End['refused'] = null
    const timer = setTimeout(() => {
      socket.terminate()
      reject(new Error('the server let it be'))
    }, limitMs)
    socket.on('open', () => {
      for (const message of messages) socket.send(message)
    })
    socket.on('message', (data: Buffer) => {
      if (openFrame(data).kind === FRAME_KIND.refused) refused = decodeRefused(data)
    })
    socket.on('error', () => {})
    socket.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, refused })
    })
  })
}

async function world(t: Test): Promise<Served> {
  const served = await serve()
  t.teardown(() => served.close())
  return served
}

const greeting = () => hello({ sessionId: randomBytes(16).toString('hex') })

function frameOf(count: number): Buffer {
  const writer = new RequestFrameWriter()
  for (let id = 0; id < count; id++) writer.add(OP.time, 1, id, 1_000, [])
  return Buffer.from(writer.take())
}

t.test('a frame that breaks the contract ends its session with a word that says why', async (t) => {
  const served = await world(t)
  const bystander = await RawSession.connect(served.url, 'bystander', 'b'.repeat(32))
  t.teardown(() => bystander.close())
  const whole = frameOf(3)
  const overCount = Buffer.from(whole)
  overCount.writeUInt16BE(10_000, 2)
  const version = Buffer.from(whole)
  version[0] = 9
  const kind = Buffer.from(whole)
  kind[1] = 77
  const cases: [
    claim: string,
    messages: (Uint8Array | string)[],
    code: number,
    error: keyof typeof ERRORS,
    says: RegExp,
  ][] = [
    ['text instead of a greeting', ['hello'], 1003, 'INVALID_ARGUMENT', /binary/],
    ['text in a session', [greeting(), 'hello'], 1003, 'INVALID_ARGUMENT', /binary/],
    ['requests before the greeting', [whole], 1002, 'INVALID_ARGUMENT', /hello is expected/],
    ['a second greeting', [greeting(), greeting()], 1002, 'INVALID_ARGUMENT', /requests is expected/],
    ['an empty frame', [greeting(), Buffer.alloc(0)], 1002, 'INVALID_ARGUMENT', /at least 4 bytes/],
    ['garbage', [greeting(), Buffer.alloc(100, 0xff)], 1002, 'INVALID_ARGUMENT', /version/],
    ['another version', [greeting(), version], 1002, 'INVALID_ARGUMENT', /version 9/],
    ['an unknown kind', [greeting(), kind], 1002, 'INVALID_ARGUMENT', /kind 77/],
    ['half a frame', [greeting(), whole.subarray(0, 30)], 1002, 'INVALID_ARGUMENT', /half a frame/],
    [
      'bytes behind the last request',
      [greeting(), Buffer.concat([whole, Buffer.of(1)])],
      1002,
      'INVALID_ARGUMENT',
      /follow/,
    ],
    ['10,000 requests in one frame', [greeting(), overCount], 1009, 'TOO_LARGE', /at most 1024 requests, not 10000/],
    ['a name that is none', [hello({ clientName: 'a b' })], 1002, 'INVALID_ARGUMENT', /clientName/],
  ]
  for (const [claim, messages, code, error, says] of cases) {
    const end = await ended(served, messages)
    t.equal(end.code, code, claim)
    t.match(end.refused, { code: ERRORS[error].wire, detail: says }, claim)
  }
  const large = await ended(served, [greeting(), Buffer.alloc(LIMITS.frameBytesMax + 1)])
  t.equal(large.code, 1009, 'over 1 MiB nothing is read at all')
  t.match(await bystander.send(OP.time, []).last, { code: OK }, 'other sessions have not noticed')
})

t.test('a full frame of the largest count is served', async (t) => {
  const served = await world(t)
  const session = await RawSession.connect(served.url, 'busy', 'b'.repeat(32))
  t.teardown(() => session.close())
  const asked = Array.from({ length: LIMITS.frameRequestsMax }, (_, i) =>
    session.send(OP.acquire, [i + 1, 1, 0, `n${i}`, 'h', 10_000, 0, 0, 0, null]),
  )
  const replies = await Promise.all(asked.map(({ last }) => last))
  t.ok(replies.every(({ code }) => code === OK))
  t.same(
    replies.map(({ fields }) => fields[0]),
    replies.map((_, i) => i + 1),
    'in order',
  )
})

t.test('a connection that no longer answers pings is given up, one that does is kept', async (t) => {
  const served = await serve({ limits: { pingMs: 40 } })
  t.teardown(() => served.close())
  const alive = await RawSession.connect(served.url, 'alive', 'a'.repeat(32))
  const mute = new WebSocket(`${served.url.replace('http', 'ws')}/v1/session`, { autoPong: false })
  const gone = new Promise((resolve) => mute.once('close', resolve))
  await new Promise((resolve) => mute.once('open', resolve))
  mute.send(greeting())
  t.equal(await gone, 1006)
  t.match(await alive.send(OP.time, []).last, { code: OK })
  await alive.close()
})
