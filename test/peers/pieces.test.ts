/** The pure pieces: greetings, questions, frames, the outbox, pauses, complaints, limits. */
import { LIMITS } from '@leasehold/protocol'
import {
  type Answer,
  answerFields,
  answerOf,
  askOf,
  assertPeerLimits,
  Complaints,
  commonVersion,
  decodeGreeting,
  encodeGreeting,
  FrameError,
  FrameReader,
  type Greeting,
  GreetingError,
  greetingBytes,
  Outbox,
  PEER_LIMITS,
  putHead,
  REFUSED,
  Retries,
} from '@leasehold/server/peers'
import { CHANNEL, type Channel } from '@leasehold/server/ports'
import { MESSAGE_LIMITS, REPLICA_LIMITS } from '@leasehold/server/replica'
import fc from 'fast-check'
import t from 'tap'
import { holds, same } from '../protocol/support.js'
import { Remembered } from '../support/real.js'
import { VirtualClock } from '../support/virtualclock.js'

const name = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
const version = fc.integer({ min: 1, max: 9 })
const versions = fc.record({ min: version, max: version })
const peer = fc
  .tuple(fc.stringMatching(/^[a-z0-9]{1,9}$/), fc.stringMatching(/^[a-z0-9]{1,9}$/))
  .map((both) => both.join('@'))
const greetings: fc.Arbitrary<Greeting> = fc.oneof(
  fc.record({ kind: fc.constant('hello'), versions, clusterId: name, from: name, to: name, nonce: name }),
  fc.record({ kind: fc.constant('welcome'), version, clusterId: name, from: name, nonce: name }),
  fc.record({ kind: fc.constant('refused'), code: fc.constantFrom(...Object.values(REFUSED)), detail: name }),
  fc.record({ kind: fc.constant('ask'), ask: fc.jsonValue() }),
)
const answers: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ kind: fc.constantFrom('empty', 'busy'), peer }),
  fc.record({ kind: fc.constant('differs'), peer, detail: name }),
  fc.record({
    kind: fc.constant('formed'),
    peer,
    facts: fc.record({
      clusterId: name,
      names: fc.array(peer, { maxLength: 9 }),
      founding: fc.option(fc.uint8Array()),
    }),
  }),
)

/** True where it is taken, or refused with an error of this kind; any other error fails the test. */
function tame(act: () => unknown, kind: new (word: string) => Error): boolean {
  try {
    act()
  } catch (error) {
    if (!(error instanceof kind)) throw error
  }
  return true
}

t.test('a greeting comes back as it was, whatever stands behind it', async (t) => {
  holds(
    t,
    fc.property(greetings, fc.uint8Array(), (greeting, rest) => {
      const bytes = encodeGreeting(greeting)
      const count = greetingBytes(Uint8Array.of(...bytes, ...rest))
      return (
        count === bytes.length &&
        same(JSON.parse(JSON.stringify(decodeGreeting(bytes))), JSON.parse(JSON.stringify(greeting)))
      )
    }),
  )
  const hello = encodeGreeting({ kind: 'refused', code: 'VERSION', detail: 'x' })
  for (let end = 0; end < 8; end++) t.equal(greetingBytes(hello.subarray(0, end)), null)
  t.throws(() => greetingBytes(Uint8Array.of(0x4c, 0x48, 0x48)), GreetingError)
  t.throws(() => encodeGreeting({ kind: 'ask', ask: 'x'.repeat(70_000) }), RangeError)
})

t.test('fields that are not known yet are passed over: a next version may say more', async (t) => {
  const hello = {
    kind: 'hello',
    versions: { min: 1, max: 2, best: 2 },
    clusterId: 'c',
    from: 'a',
    to: 'b',
    nonce: 'n',
    mood: 'good',
  }
  const bytes = encodeGreeting(hello as unknown as Greeting)
  const { mood, ...known } = hello
  t.same(decodeGreeting(bytes), { ...known, versions: { min: 1, max: 2 } }, `not ${mood}`)
  t.equal(commonVersion({ min: 1, max: 1 }, { min: 1, max: 2 }), 1)
  t.equal(commonVersion({ min: 1, max: 2 }, { min: 2, max: 3 }), 2)
  t.equal(commonVersion({ min: 1, max: 1 }, { min: 2, max: 3 }), null)
  t.equal(commonVersion({ min: 3, max: 4 }, { min: 1, max: 2 }), null)
})

t.test('greetings, questions and answers of any shape are taken or refused, and nothing else', async (t) => {
  const framed = (body: Uint8Array) => Uint8Array.of(0x4c, 0x48, 0x47, 0x31, 0, 0, 0, 0, ...body)
  const kinds = fc.constantFrom('hello', 'welcome', 'refused', 'ask', 'answer', 'formed', 'empty', 'differs', 'busy')
  const near = fc.record(
    {
      kind: kinds,
      versions,
      version: fc.jsonValue(),
      clusterId: fc.jsonValue(),
      from: fc.jsonValue(),
      facts: fc.jsonValue(),
      peer,
    },
    { requiredKeys: ['kind'] },
  )
  holds(
    t,
    fc.property(fc.uint8Array(), (bytes) => tame(() => decodeGreeting(framed(bytes)), GreetingError)),
    1_000,
  )
  holds(
    t,
    fc.property(fc.uint8Array(), (bytes) => tame(() => greetingBytes(bytes), GreetingError)),
    1_000,
  )
  const text = new TextEncoder()
  holds(
    t,
    fc.property(fc.oneof(near, fc.jsonValue()), (value) => {
      const bytes = framed(text.encode(JSON.stringify(value)))
      for (const read of [() => decodeGreeting(bytes), () => askOf(value), () => answerOf(value)])
        tame(read, GreetingError)
    }),
    2_000,
  )
})

t.test('answers come back as they were; bytes that are none are refused', async (t) => {
  holds(
    t,
    fc.property(answers, (answer) => {
      const back = answerOf(JSON.parse(JSON.stringify(answerFields(answer))))
      if (back.kind !== 'formed' || answer.kind !== 'formed') return same(back, answer)
      const plain = (one: typeof back) => ({ ...one.facts, founding: one.facts.founding && [...one.facts.founding] })
      return same(plain(back), plain(answer))
    }),
  )
  const facts = { clusterId: 'c', names: ['a@1'], founding: 'no base64!' }
  t.throws(() => answerOf({ kind: 'formed', peer: 'a@1', facts }), /base64/)
  t.throws(() => answerOf({ kind: 'empty', peer: 'nobody' }), /MEMBER@DIRECTORY/)
  t.throws(() => askOf({ versions: { min: 1, max: 1 }, peer: 'a@1', members: ['a'], founds: 'yes' }), /founds/)
  t.throws(
    () => askOf({ versions: { min: 1, max: 1 }, peer: 'a@1', members: new Array(99).fill('a'), founds: true }),
    /short list/,
  )
})

interface Sent {
  readonly kind: Channel
  readonly body: Uint8Array
}
const sent = fc.array(
  fc.record({ kind: fc.constantFrom(...Object.values(CHANNEL)), body: fc.uint8Array({ maxLength: 60 }) }),
)

function framesOf(messages: readonly Sent[]): Uint8Array {
  return Buffer.concat(
    messages.flatMap(({ kind, body }) => {
      const head = new Uint8Array(5)
      putHead(head, 0, body.length, kind)
      return [head, body]
    }),
  )
}

t.test('frames arrive as they were sent, in whatever pieces', async (t) => {
  holds(
    t,
    fc.property(sent, fc.array(fc.integer({ min: 1, max: 40 })), (messages, sizes) => {
      const came: Sent[] = []
      const reader = new FrameReader(64, (kind, body) =>
        came.push({ kind: kind as Channel, body: Uint8Array.from(body) }),
      )
      const bytes = framesOf(messages)
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length] ?? 7
        reader.push(bytes.subarray(at, at + size))
        at += size
      }
      return same(came, messages)
    }),
    1_000,
  )
})

t.test('a reader that is stopped from within takes nothing more of the same piece', async (t) => {
  for (const pieces of [
    [0, 100],
    [0, 3, 8, 100],
  ]) {
    const came: number[] = []
    const reader = new FrameReader(64, (_, body) => {
      came.push(body[0]!)
      reader.stop()
    })
    const bytes = framesOf([1, 2, 3].map((n) => ({ kind: CHANNEL.raft, body: Uint8Array.of(n) })))
    for (let i = 1; i < pieces.length; i++) reader.push(bytes.subarray(pieces[i - 1], pieces[i]))
    t.same(came, [1])
  }
})

t.test('garbage ends a reader with an error that says what it is', async (t) => {
  holds(
    t,
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 30 })), (pieces) => {
      const reader = new FrameReader(64, () => {})
      return tame(() => {
        for (const piece of pieces) reader.push(piece)
      }, FrameError)
    }),
    2_000,
  )
  const reader = () => new FrameReader(64, () => {})
  t.throws(() => reader().push(Uint8Array.of(0, 0, 0, 65, 1)), /frame of 65 bytes/)
  t.throws(() => reader().push(Uint8Array.of(0, 0, 0, 1, 9)), /unknown kind 9/)
})

t.test('an outbox keeps order within a channel, priority between them, and its bounds', async (t) => {
  const limits = { ...PEER_LIMITS, frameBytesMax: 50, copyBytesMax: 20, flushBytesMax: 120 }
  const bounded = {
    ...limits,
    raftMessagesMax: 9,
    raftBytesMax: 200,
    forwardMessagesMax: 5,
    forwardBytesMax: 100,
    bulkBytesMax: 100,
  }
  const steps = fc.array(
    fc.oneof(fc.constant('flush'), fc.record({ kind: fc.constantFrom(...Object.values(CHANNEL)), bytes: fc.nat(50) })),
  )
  holds(
    t,
    fc.property(steps, (all) => {
      const outbox = new Outbox(bounded)
      const waiting = new Map<Channel, number[]>(Object.values(CHANNEL).map((channel) => [channel, []]))
      const refused = new Set<Channel>()
      const out = new FrameReader(50, (kind, body) => {
        for (const earlier of [1, 2, 3] as const) {
          if (earlier < kind && waiting.get(earlier)!.length > 0) throw new Error(`${kind} before ${earlier}`)
        }
        if (body.length !== waiting.get(kind as Channel)!.shift()) throw new Error('out of order')
      })
      const flush = () => {
        for (const piece of outbox.take()) out.push(piece)
        for (const channel of outbox.settle()) if (!refused.delete(channel)) throw new Error('room for nobody')
      }
      for (const step of all) {
        if (step === 'flush') flush()
        else {
          const { kind, bytes } = step
          if (outbox.add(kind, new Uint8Array(bytes))) waiting.get(kind)!.push(bytes)
          else refused.add(kind)
        }
        if (outbox.bytes > 400) return false
        if (waiting.get(CHANNEL.forward)!.length > 5) return false
      }
      for (let guard = 0; !outbox.empty; guard++) {
        if (guard === 100) return false
        flush()
      }
      return refused.size === 0 && outbox.bytes === 0
    }),
    1_000,
  )
  t.throws(() => new Outbox(bounded).add(CHANNEL.bulk, new Uint8Array(51)), RangeError)
})

t.test(
  'pauses start short, double up to a bound, are drawn anew, and start again after a link that stood',
  async (t) => {
    let drawn = 1
    const retries = new Retries(() => drawn)
    const bounds = Array.from({ length: 8 }, () => retries.pauseMs(false))
    t.same(bounds, [20, 40, 80, 160, 320, 400, 400, 400])
    drawn = 0
    t.equal(retries.pauseMs(false), 200)
    t.equal(retries.pauseMs(true), 500, 'a word that it is hopeless')
    retries.settled()
    t.equal(retries.pauseMs(false), 10)
  },
)

t.test('a complaint is repeated after a while, and says how often it was not', async (t) => {
  const clock = new VirtualClock()
  const telemetry = new Remembered()
  const complaints = new Complaints(clock, telemetry)
  for (let i = 0; i < 5; i++) complaints.say('refused', 'n1', { code: 'X' })
  complaints.say('refused', 'n2', { code: 'Y' })
  clock.advance(PEER_LIMITS.complaintEveryMs)
  complaints.say('refused', 'n1', { code: 'X' })
  t.same(
    telemetry.logs.map(({ fields }) => fields),
    [{ code: 'X' }, { code: 'Y' }, { code: 'X', unsaid: 4 }],
  )
  for (let i = 0; i < 3 * PEER_LIMITS.complaintsMax; i++) complaints.say('refused', `m${i}`, {})
  complaints.say('refused', 'n1', { code: 'X' })
  t.equal(telemetry.logs.at(-1)!.fields.unsaid, undefined, 'what was said long before a crowd is forgotten')
})

t.test('limits that disagree are refused at import', async (t) => {
  const broken: [{ [K in keyof typeof PEER_LIMITS]?: number }, RegExp][] = [
    [{ bulkBytesMax: PEER_LIMITS.frameBytesMax }, /the next frame gathers/],
    [{ flushBytesMax: 2 ** 30 }, /one flush/],
    [{ copyBytesMax: 2 ** 21 }, /copied together/],
    [{ nameBytesMax: 10_000 }, /greeting has room/],
    [{ pingMs: 200 }, /no death/],
    [{ silenceMsMax: 2_000 }, /who answers greetings/],
    [{ strangersMax: PEER_LIMITS.peersMax }, /all peers may greet/],
    [{ retryMsMin: 60 }, /found again/],
    [{ retryMsMax: 10 }, /pauses grow/],
    [{ formingRoundMs: 5_000 }, /a stranger asks/],
  ]
  t.doesNotThrow(() => assertPeerLimits(PEER_LIMITS))
  for (const [change, relation] of broken) {
    t.throws(() => assertPeerLimits({ ...PEER_LIMITS, ...change }), { name: 'RangeError', message: relation })
  }
})

t.test('what the replica sends fits the links, and their death is noticed within an election timeout', async (t) => {
  t.ok(PEER_LIMITS.silenceMsMax + 2 * PEER_LIMITS.pingMs <= REPLICA_LIMITS.electionMsMax)
  t.ok(MESSAGE_LIMITS.bodyBytesMax + LIMITS.frameBytesMax < PEER_LIMITS.frameBytesMax)
  t.ok(2 * REPLICA_LIMITS.batchBytesMax < PEER_LIMITS.frameBytesMax)
  t.ok(REPLICA_LIMITS.batchBytesMax + LIMITS.frameBytesMax < MESSAGE_LIMITS.bodyBytesMax)
  t.ok(LIMITS.peersMax <= PEER_LIMITS.peersMax)
  t.ok(LIMITS.peerBytesMax <= PEER_LIMITS.nameBytesMax)
})
