/** Whatever arrives, decoding ends in a decoded message or in a ProtocolError: never in another error, never in a hang. */
import {
  decodeCommands,
  decodeHello,
  decodePushes,
  decodeRefused,
  decodeReplies,
  decodeWelcome,
  encodeCommands,
  encodeHello,
  encodePushes,
  encodeRefused,
  encodeReplies,
  encodeWelcome,
  OP,
  type Op,
  openFrame,
  ProtocolError,
  parseCommand,
  parseGet,
  parseHistory,
  parseList,
  parseTime,
  parseUnwatch,
  parseWatch,
  RequestFrameWriter,
  RequestReader,
} from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { commands, holds } from './support.js'

// Tens of thousands of refusals: nobody reads their stacks.
Error.stackTraceLimit = 0

const reader = new RequestReader()
const sender = { principal: 'p', scope: 's:0' }

/** True if `act` ended as it may. */
function tame(act: () => unknown): boolean {
  try {
    act()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
  return true
}

/** Every reader of a body, on every body of the frame. */
function readRequests(frame: Uint8Array): void {
  reader.open(frame)
  while (reader.next()) {
    tame(() => reader.fields())
    for (const parse of [parseGet, parseList, parseHistory, parseWatch, parseUnwatch, parseTime]) {
      tame(() => parse(reader.fields()))
    }
    tame(() => parseCommand(reader.op as Op, reader.fields(), sender))
  }
}

const decoders = [
  openFrame,
  readRequests,
  decodeHello,
  decodeWelcome,
  decodeReplies,
  decodePushes,
  decodeRefused,
  decodeCommands,
]
const allTame = (bytes: Uint8Array) => decoders.every((decode) => tame(() => decode(bytes)))

function requestFrame(): Uint8Array {
  const writer = new RequestFrameWriter()
  writer.add(OP.acquire, 1, 1, 5_000, [1, 1, 0, 'billing/leader', 'host-1', 10_000, 0, 0, 0, 'é'])
  writer.add(OP.renew, 2, 2, 5_000, ['billing/leader', 2 ** 40])
  writer.add(OP.list, 1, 3, 5_000, ['billing/', null, 100])
  return writer.take()
}

const samples: [string, (bytes: Uint8Array) => unknown, Uint8Array][] = [
  ['requests', readRequests, requestFrame()],
  [
    'hello',
    decodeHello,
    encodeHello({ clientName: 'a', sessionId: '0f'.repeat(16), lowestUnanswered: 1, credential: 'x' }),
  ],
  [
    'welcome',
    decodeWelcome,
    encodeWelcome({
      clusterId: 'c',
      memberId: 'n1',
      term: 1,
      leaderUrl: null,
      clusterMs: 2 ** 33,
      limits: { frameBytesMax: 1_048_576, frameRequestsMax: 1_024, inFlightMax: 64 },
    }),
  ],
  ['replies', decodeReplies, encodeReplies([[1, 1, 0, [17, 10_000, 10_000, false, 'host-1']]])],
  [
    'pushes',
    decodePushes,
    encodePushes([
      ['ended', 'a', 17, 'revoked'],
      ['event', 1, 'c.1', [1, 'x']],
    ]),
  ],
  ['refused', decodeRefused, encodeRefused(28, 'shutting down')],
  ['commands', decodeCommands, encodeCommands(fc.sample(commands, { numRuns: 12, seed: 7 }))],
]

for (const [what, decode, sample] of samples) {
  t.test(`${what}: every truncation, every flipped bit and every changed byte is tame`, async (t) => {
    const tameHere = (bytes: Uint8Array) => tame(() => decode(bytes))
    t.doesNotThrow(() => decode(sample), 'as it is, it is right')
    let judged = 0
    for (let at = 0; at < sample.length; at++) {
      if (tameHere(sample.subarray(0, at))) judged++
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Uint8Array.from(sample)
        flipped[at]! ^= 1 << bit
        if (tameHere(flipped)) judged++
      }
      for (const byte of [0x00, 0x7f, 0x80, 0x91, 0xc1, 0xc6, 0xc9, 0xdb, 0xdd, 0xdf, 0xff]) {
        if (tameHere(sample.with(at, byte))) judged++
      }
    }
    t.equal(judged, sample.length * 20)
  })
}

t.test('random bytes, bare and behind a head that is right, are tame', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 200 })
  const headed = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 3 }), bytes)
    .map(([kind, count, rest]) => {
      return Uint8Array.from([1, kind, 0, count, ...rest])
    })
  const bodied = bytes.map((body) =>
    Uint8Array.from([1, 3, 0, 1, 1, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, body.length, ...body]),
  )
  holds(t, fc.property(fc.oneof(bytes, headed, bodied), allTame), 5_000)
})

t.test('large hostile bodies are judged quickly', async (t) => {
  const size = 1_000_000
  const shapes = [0x91, 0x90, 0x9f, 0xdd, 0xdc, 0x00, 0xc0, 0xa0, 0x80, 0xff].map((byte) => Buffer.alloc(size, byte))
  for (const shape of shapes) {
    const frame = Buffer.concat([Buffer.from([1, 3, 0, 1, 1, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]), Buffer.alloc(4), shape])
    frame.writeUInt32BE(size, 16)
    t.ok(tame(() => readRequests(frame)))
    t.ok(tame(() => decodeReplies(Buffer.concat([Buffer.from([1, 4, 0, 1]), shape]))))
    t.ok(tame(() => decodeCommands(shape)))
  }
})
