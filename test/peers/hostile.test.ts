/** The door stands open to whoever knows its port. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { Door, PEER_LIMITS, type PeerLimits, TcpTransport } from '@leasehold/server/peers'
import { CHANNEL } from '@leasehold/server/ports'
import t, { type Test } from 'tap'
import { Remembered, realClock, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { type Member, Recorder } from './compliance.js'

const limits = { ...PEER_LIMITS, greetingMsMax: 150, silenceMsMax: 150, pingMs: 25, strangersMax: 40 }
const A = 'n1@d1'
const B = 'n2@d2'

interface Served extends Member {
  readonly transport: TcpTransport
  readonly door: Door
  readonly telemetry: Remembered
}

async function serve(t: Test, self = A, over: Partial<PeerLimits> = {}): Promise<Served> {
  const telemetry = new Remembered()
  const door = new Door({
    listen: { host: '127.0.0.1', port: 0 },
    clock: realClock,
    telemetry,
    limits: { ...limits, ...over },
  })
  const transport = new TcpTransport({ self, clusterId: 'c', door, random: realRandom })
  const seen = new Recorder()
  await transport.start(seen)
  t.teardown(() => transport.close())
  return { peer: self, address: `127.0.0.1:${door.port}`, transport, door, telemetry, seen }
}

/** A connection that says these bytes, and nothing else. */
function say(t: Test, served: Served, bytes: Uint8Array): { socket: Socket; heard: Buffer[]; closed: Promise<void> } {
  const socket = connect({ host: '127.0.0.1', port: served.door.port })
  const heard: Buffer[] = []
  socket.on('data', (chunk) => heard.push(chunk))
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.write(bytes)
  t.teardown(() => socket.destroy())
  return { socket, heard, closed }
}

function greeting(value: unknown, length?: number): Buffer {
  const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const head = Buffer.alloc(8)
  head.write('LHG1')
  head.writeUInt32BE(length ?? body.length, 4)
  return Buffer.concat([head, body])
}

const hello = (over: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'hello',
  versions: { min: 1, max: 1 },
  clusterId: 'c',
  from: B,
  to: A,
  nonce: 'ff',
  ...over,
})

function frame(kind: number, body: Uint8Array, length = body.length): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(length)
  head[4] = kind
  return Buffer.concat([head, body])
}
const GO = frame(16, new Uint8Array(0))

const warnings = ({ telemetry }: Served) => telemetry.logs.filter(({ level }) => level === 'warn')

/** A peer that behaves gets in, and is heard. */
async function serves(t: Test, served: Served): Promise<void> {
  const good = await serve(t, 'n3@d3')
  // Nobody is there: it has to come in by the door.
  served.transport.peers([{ peer: good.peer, address: '127.0.0.1:1' }])
  good.transport.peers([served])
  await until(() => good.transport.linked(A))
  good.transport.send(A, CHANNEL.raft, Uint8Array.of(7))
  await until(() => served.seen.events.some((event) => event.kind === 'message' && event.bytes[0] === 7))
}

t.test('what is no greeting is hung up on at once', async (t) => {
  // Far more than this test may take.
  const served = await serve(t, A, { greetingMsMax: 600_000 })
  const cases: readonly [string, Uint8Array][] = [
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['random bytes', randomBytes(100_000)],
    ['zeroes', new Uint8Array(1_000)],
    ['a greeting of 4 GiB', greeting('{}', 0xffff_ffff)],
    ['a greeting just too long', greeting('{}', PEER_LIMITS.greetingBytesMax + 1)],
    ['no JSON', greeting('{"kind":')],
    ['JSON that is no object', greeting([1, 2])],
    ['nothing known', greeting({ kind: 'dance' })],
    ['a hello without fields', greeting({ kind: 'hello' })],
    ['a name that is none', greeting(hello({ from: '' }))],
    ['a name of half a megabyte', greeting(hello({ from: 'x'.repeat(50_000) }))],
    ['versions that are none', greeting(hello({ versions: { min: 0, max: '1' } }))],
  ]
  for (const [name, bytes] of cases) {
    const { closed, heard } = say(t, served, bytes)
    await closed
    t.same(heard, [], name)
  }
  t.equal(warnings(served).length, 1, 'a flood of one address is one line')
  await serves(t, served)
})

t.test('half a greeting, a slow one and none at all end with the time for it', async (t) => {
  const served = await serve(t)
  const whole = greeting(hello())
  const slow = say(t, served, whole.subarray(0, 1))
  let at = 1
  const drip = setInterval(() => slow.socket.write(whole.subarray(at, ++at)), 25)
  t.teardown(() => clearInterval(drip))
  await Promise.all([
    slow.closed,
    say(t, served, whole.subarray(0, 50)).closed,
    say(t, served, new Uint8Array(0)).closed,
  ])
  t.ok(at < whole.length, 'the slow one did not get to its end')
  await until(() => served.door.strangers === 0)
})

t.test('whoever does not belong is told why, and complained about once in a while', async (t) => {
  const served = await serve(t)
  served.transport.peers([{ peer: B, address: '127.0.0.1:1' }])
  const cases: readonly [Readonly<Record<string, unknown>>, RegExp][] = [
    [{ clusterId: 'other' }, /WRONG_CLUSTER.*n1@d1 belongs to cluster c, not to other/],
    [{ to: 'n1@d9' }, /WRONG_PEER.*here is n1@d1, not n1@d9/],
    [{ from: 'n7@d7' }, /UNKNOWN_PEER.*no configuration that n1@d1 knows of names n7@d7/],
    [{ versions: { min: 3, max: 4 } }, /VERSION.*n1@d1 speaks formats 1 to 2, n2@d2 speaks 3 to 4/],
  ]
  for (const [over, word] of cases) {
    for (let again = 0; again < 3; again++) {
      const { heard, closed } = say(t, served, greeting(hello(over)))
      await closed
      t.match(Buffer.concat(heard).toString(), word)
    }
  }
  t.equal(warnings(served).length, cases.length, 'each once')
  t.same(served.seen.events, [])
})

t.test('a crowd of silent connections neither shuts members out nor piles up', async (t) => {
  // Nobody leaves by himself.
  const served = await serve(t, A, { greetingMsMax: 600_000 })
  const crowd = Array.from({ length: 300 }, () => say(t, served, new Uint8Array(0)))
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, served.door.strangers)), 5)
  await serves(t, served)
  clearInterval(watch)
  t.ok(most <= limits.strangersMax, `${most} strangers at most`)
  for (const { socket } of crowd) socket.destroy()
  await until(() => served.door.strangers === 0)
})

t.test('a connection that greets and then breaks the contract is no link any more', async (t) => {
  const served = await serve(t)
  served.transport.peers([{ peer: B, address: '127.0.0.1:1' }])
  const { peer, events } = { peer: B, events: served.seen.events }
  const cases: readonly [string, Uint8Array, readonly string[]][] = [
    ['no go', frame(1, Uint8Array.of(1)), []],
    ['an unknown kind', Buffer.concat([GO, frame(99, new Uint8Array(0))]), ['up', 'down']],
    ['a frame of 4 GiB', Buffer.concat([GO, frame(1, new Uint8Array(0), 0xffff_ffff)]), ['up', 'down']],
    [
      'a frame just too long',
      Buffer.concat([GO, frame(3, new Uint8Array(9), limits.frameBytesMax + 1)]),
      ['up', 'down'],
    ],
    [
      'half a frame',
      Buffer.concat([GO, frame(1, Uint8Array.of(5)), frame(1, new Uint8Array(3), 10)]),
      ['up', 'message', 'down'],
    ],
    ['silence', GO, ['up', 'down']],
    ['silence before the go', new Uint8Array(0), []],
  ]
  for (const [name, bytes, expected] of cases) {
    const from = events.length
    await say(t, served, Buffer.concat([greeting(hello()), bytes])).closed
    await until(() => !served.transport.linked(peer))
    t.same(
      events.slice(from).map(({ kind }) => kind),
      expected,
      name,
    )
  }
  await serves(t, served)
})

t.test('a peer that reads nothing costs a bounded amount of memory, and is given up', async (t) => {
  const served = await serve(t)
  served.transport.peers([{ peer: B, address: '127.0.0.1:1' }])
  const { socket, closed } = say(t, served, Buffer.concat([greeting(hello()), GO]))
  await until(() => served.transport.linked(B))
  socket.pause()
  const pings = setInterval(() => socket.write(frame(17, new Uint8Array(0))), 20)
  t.teardown(() => clearInterval(pings))
  const chunk = new Uint8Array(262_144)
  let refused = 0
  for (let turn = 0; turn < 200; turn++) {
    let taken = 0
    while (served.transport.send(B, CHANNEL.bulk, chunk)) taken++
    if (taken === 0) refused++
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const waiting = served.transport.views.map(({ waitingBytes }) => waitingBytes)
  t.ok(
    waiting[0]! <= limits.bulkBytesMax && waiting[0]! > limits.bulkBytesMax - 2 * chunk.length,
    `${waiting} bytes wait`,
  )
  t.ok(refused > 50, 'it is full before long')
  t.ok(served.transport.send(B, CHANNEL.raft, chunk), 'consensus has a bound of its own')
  clearInterval(pings)
  await until(() => !served.transport.linked(B))
  socket.resume()
  await closed
})

t.test(
  'questions are answered where somebody answers them, and refused where nobody does or they are none',
  async (t) => {
    const served = await serve(t)
    const ask = greeting({ kind: 'ask', ask: 5 })
    const none = say(t, served, ask)
    await none.closed
    t.match(Buffer.concat(none.heard).toString(), /FORMING/)
    served.door.answerAsk = () => {
      throw new Error('no question')
    }
    const bad = say(t, served, ask)
    await bad.closed
    t.match(Buffer.concat(bad.heard).toString(), /MALFORMED.*no question/)
    served.door.answerAsk = (ask) => ({ got: ask })
    const good = say(t, served, ask)
    await good.closed
    t.match(Buffer.concat(good.heard).toString(), /"answer":\{"got":5\}/)
  },
)
