import { CLASS, encodeRefused, LIMITS, OP, RequestFrameWriter, RequestReader } from '@leasehold/protocol'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'
import { holds, naturals, refused, same, texts } from './support.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
/** One request of op 1 around these bytes. */
function frameAround(body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(20)
  head.writeUInt32BE(0x01030001, 0)
  head.writeUInt32BE(0x01040001, 4)
  head.writeUInt32BE(body.length, 16)
  return Buffer.concat([head, body])
}
function bodyOf(body: Uint8Array): readonly unknown[] {
  const reader = new RequestReader()
  reader.open(frameAround(body))
  reader.next()
  return reader.fields()
}
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

t.test('a frame of requests looks as the format says, byte for byte', async (t) => {
  const writer = new RequestFrameWriter()
  t.ok(writer.add(OP.renew, 1, 7, 5_000, ['a', 17]))
  t.ok(writer.add(OP.acquire, 3, 0xfffffffe, 1, [null]))
  t.equal(writer.count, 2)
  t.equal(writer.bytes, 4 + 16 + 4 + 16 + 2)
  t.equal(
    hex(writer.take()),
    `01030002${'02010001000000070000138800000004'}92a16111${'01030003fffffffe0000000100000002'}91c0`,
  )
  t.equal(writer.count, 0, 'taking starts over')
  t.equal(writer.bytes, 4)
})

t.test('whatever is written is read', async (t) => {
  const scalars = fc.oneof(
    naturals,
    texts,
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).filter((n) => !Object.is(n, -0)),
  )
  const fields = fc.array(fc.oneof(scalars, fc.array(scalars, { maxLength: 4 })), { maxLength: 20 })
  const requests = fc.record({
    op: fc.constantFrom(...Object.values(OP)),
    attempt: fc.integer({ min: 1, max: 65_535 }),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    remainingMs: fc.integer({ min: 0, max: 0xffff_ffff }),
    fields,
  })
  const writer = new RequestFrameWriter()
  const reader = new RequestReader()
  holds(
    t,
    fc.property(fc.array(requests, { maxLength: 30 }), (sent) => {
      for (const r of sent) writer.add(r.op, r.attempt, r.id, r.remainingMs, r.fields)
      const frame = writer.take()
      const seen: typeof sent = []
      if (reader.open(frame) !== sent.length) return false
      while (reader.next()) {
        const { op, attempt, id, remainingMs } = reader
        seen.push({
          op: op as (typeof sent)[number]['op'],
          attempt,
          id,
          remainingMs,
          fields: [...reader.fields()] as never,
        })
      }
      return same(seen, sent) && !reader.next()
    }),
  )
})

t.test('headers are read without their bodies', async (t) => {
  const frame = frameAround(bytes('c1'))
  const reader = new RequestReader()
  t.equal(reader.open(frame), 1)
  t.ok(reader.next())
  t.equal(reader.op, OP.acquire)
  t.equal(reader.workClass, CLASS.acquire)
  t.equal(reader.bodyBytes, 1)
  refused(t, () => reader.fields(), 'INVALID_ARGUMENT', /an array is expected/)
})

t.test('a half frame is refused before any of its requests is seen', async (t) => {
  const writer = new RequestFrameWriter()
  for (let i = 0; i < 5; i++) writer.add(OP.renew, 1, i, 1_000, [`name-${i}`, i + 1])
  const frame = writer.take()
  const reader = new RequestReader()
  for (let length = 0; length < frame.length; length++) {
    const sentence = length < 4 ? /^a frame has at least 4 bytes/ : /^half a frame: it ends within request \d of 5$/
    refused(t, () => reader.open(frame.subarray(0, length)), 'INVALID_ARGUMENT', sentence)
    t.notOk(reader.next(), 'nothing is seen of it')
  }
  const longer = Buffer.concat([frame, Buffer.alloc(3)])
  refused(t, () => reader.open(longer), 'INVALID_ARGUMENT', /^3 bytes follow the last of 5 requests$/)
  t.equal(reader.open(frame), 5, 'and the reader goes on with the next frame')
  t.ok(reader.next())
  refused(t, () => reader.open(longer), 'INVALID_ARGUMENT', /follow the last/)
  t.notOk(reader.next(), 'a refused frame also ends the one before it')
})

t.test('other kinds, other versions and nonsense are no frames of requests', async (t) => {
  const reader = new RequestReader()
  const bad: [string, RegExp][] = [
    ['', /^a frame has at least 4 bytes, not 0$/],
    ['02030000', /^frame version 2 is not spoken here \(1 is\)$/],
    ['01000000', /^frame kind 0 is unknown$/],
    ['01070000', /^frame kind 7 is unknown$/],
    ['01030000 00', /^1 bytes follow the last of 0 requests$/],
    [hex(Buffer.from('GET / HTTP/1.1')), /^frame version 71/],
    [hex(encodeRefused(10, 'x')), /^a frame of requests is expected/],
  ]
  for (const [frame, sentence] of bad) refused(t, () => reader.open(bytes(frame)), 'INVALID_ARGUMENT', sentence)
  t.equal(reader.open(bytes('01030000')), 0, 'an empty frame asks for nothing')
})

t.test('10,000 requests in one frame are too many, 1,024 are not', async (t) => {
  const writer = new RequestFrameWriter()
  for (let i = 0; i < LIMITS.frameRequestsMax; i++) t.ok(writer.add(OP.time, 1, i, 1_000, []))
  t.notOk(writer.add(OP.time, 1, 1_024, 1_000, []), 'the writer says when it is full')
  t.equal(new RequestReader().open(writer.take()), 1_024)
  const many = Buffer.concat([bytes('01032710'), Buffer.alloc(10_000 * 16)])
  refused(t, () => new RequestReader().open(many), 'TOO_LARGE', /^a frame has at most 1024 requests, not 10000$/)
})

t.test('a frame of exactly 1 MiB passes, one byte more does not', async (t) => {
  const writer = new RequestFrameWriter()
  const overhead = 4 + 16 + 1 + 5
  const fitting = 'x'.repeat(LIMITS.frameBytesMax - overhead)
  t.ok(writer.add(OP.get, 1, 1, 1_000, [fitting]))
  t.notOk(writer.add(OP.time, 1, 2, 1_000, []), 'nothing more fits')
  const frame = writer.take()
  t.equal(frame.length, LIMITS.frameBytesMax)
  const reader = new RequestReader()
  t.equal(reader.open(frame), 1)
  t.ok(reader.next())
  t.same(reader.fields(), [fitting])
  refused(t, () => writer.add(OP.get, 1, 1, 1_000, [`${fitting}x`]), 'TOO_LARGE', /^a request has at most/)
  t.equal(writer.count, 0, 'a request that fits no frame leaves no trace')
  const larger = Buffer.concat([frame, Buffer.alloc(1)])
  refused(t, () => reader.open(larger), 'TOO_LARGE', /^a frame has at most 1048576 bytes, not 1048577$/)
})

t.test('a frame grows from small to full without losing a byte', async (t) => {
  const writer = new RequestFrameWriter()
  const fields: string[] = []
  for (let i = 0; ; i++) {
    const field = String(i).padEnd(1_500, '.')
    if (!writer.add(OP.get, 1, i, 1_000, [field])) break
    fields.push(field)
  }
  const reader = new RequestReader()
  t.equal(reader.open(writer.take()), fields.length)
  for (const field of fields) t.ok(reader.next() && reader.fields()[0] === field)
})

t.test('headers are clamped where more means nothing, and an id is never bent', async (t) => {
  const writer = new RequestFrameWriter()
  writer.add(OP.time, 70_000, 1, 2 ** 40, [])
  writer.add(OP.time, 1, 2, -5, [])
  writer.add(OP.time, 1, 3, 99.9, [])
  const reader = new RequestReader()
  reader.open(writer.take())
  const seen: number[][] = []
  while (reader.next()) seen.push([reader.attempt, reader.remainingMs])
  t.same(seen, [
    [65_535, 0xffff_ffff],
    [1, 0],
    [1, 99],
  ])
  for (const id of [-1, 1.5, 2 ** 32, Number.NaN]) {
    t.throws(() => writer.add(OP.time, 1, id, 1_000, []), { name: 'RangeError', message: /^a request's id is a u32/ })
  }
})

t.test('every form of MessagePack that a body may have is read', async (t) => {
  const good: [string, unknown[]][] = [
    ['90', []],
    ['dc0000', []],
    ['dd00000001 c0', [null]],
    ['93 c2 c3 c0', [false, true, null]],
    ['92 7f ff', [127, -1]],
    ['94 cc80 cd0100 ce00010000 cf0000000100000000', [128, 256, 65_536, 2 ** 32]],
    ['94 d080 d18000 d280000000 d3ffffffffffffffff', [-128, -32_768, -(2 ** 31), -1]],
    ['92 ca3f800000 cb3ff8000000000000', [1, 1.5]],
    ['94 a161 d90162 da000163 db0000000164', ['a', 'b', 'c', 'd']],
    ['93 c40101 c5000102 c60000000103', [bytes('01'), bytes('02'), bytes('03')].map((b) => new Uint8Array(b))],
    ['91 91 91 91 05', [[[[5]]]]],
    ['92 90 91 90', [[], [[]]]],
  ]
  for (const [body, fields] of good) {
    t.same(
      bodyOf(bytes(body)).map((f) => (f instanceof Uint8Array ? Uint8Array.from(f) : f)),
      fields,
      body,
    )
  }
})

t.test('every way to be no such array is refused', async (t) => {
  const bad: [string, RegExp][] = [
    ['', /there is nothing/],
    ['05', /an array is expected/],
    ['80', /an array is expected/],
    ['a161', /an array is expected/],
    ['91', /it ends within a value/],
    ['dc00', /it ends within a value/],
    ['dd000000', /it ends within a value/],
    ['dd000003ff c0', /it ends within a value/],
    ['ddffffffff c0', /it ends within a value/],
    ['91 cd01', /it ends within a value/],
    ['91 cb00000000000000', /it ends within a value/],
    ['91 a261', /it ends within a value/],
    ['91 d9', /it ends within a value/],
    ['91 d90261', /it ends within a value/],
    ['91 da0100', /it ends within a value/],
    ['91 dbffffffff61', /it ends within a value/],
    ['91 c4', /it ends within a value/],
    ['91 c40201', /it ends within a value/],
    ['91 c6ffffffff01', /it ends within a value/],
    ['91 92 01', /it ends within a value/],
    ['91 dc', /it ends within a value/],
    ['9001', /bytes follow the array/],
    ['9191919190', /nested deeper than 4/],
    ['91 80', /neither maps nor extensions/],
    ['91 81a16101', /neither maps nor extensions/],
    ['91 de0000', /neither maps nor extensions/],
    ['91 df00000000', /neither maps nor extensions/],
    ['91 c70001', /neither maps nor extensions/],
    ['91 c8000001', /neither maps nor extensions/],
    ['91 c90000000001', /neither maps nor extensions/],
    ['91 d6ff00000000', /neither maps nor extensions/],
    ['91 c1', /byte 0xc1 is never used/],
    ['91 a180', /text is not UTF-8/],
    ['91 a2c180', /text is not UTF-8/],
    ['91 a3eda080', /text is not UTF-8/], // the first surrogate
    ['91 a3edbfbf', /text is not UTF-8/], // the last one
    ['91 a3e08080', /text is not UTF-8/],
    ['91 a4f0808080', /text is not UTF-8/],
    ['91 a4f4908080', /text is not UTF-8/],
    ['91 a161ff', /bytes follow/],
  ]
  for (const [body, sentence] of bad) {
    refused(t, () => bodyOf(bytes(body)), 'INVALID_ARGUMENT', sentence, body)
  }
})

t.test('a million brackets are refused without a million calls', async (t) => {
  refused(t, () => bodyOf(Buffer.alloc(1_000_000, 0x91)), 'INVALID_ARGUMENT', /nested deeper than 4/)
})

t.test('a body has at most 1,024 values, its arrays counted', async (t) => {
  t.equal(bodyOf(encode(new Array(1_023).fill(0))).length, 1_023)
  refused(t, () => bodyOf(encode(new Array(1_024).fill(0))), 'INVALID_ARGUMENT', /more than 1024 values/)
  refused(t, () => bodyOf(encode(new Array(600).fill([0]))), 'INVALID_ARGUMENT', /more than 1024 values/)
})

t.test('text is taken exactly where a strict decoder takes it', async (t) => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const edges = fc.constantFrom(
    0x00,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xdf,
    0xe0,
    0xed,
    0xef,
    0xf0,
    0xf4,
    0xf5,
  )
  const texts = fc.array(fc.oneof(edges, fc.nat({ max: 255 })), { maxLength: 8 }).map((list) => Uint8Array.from(list))
  const seeded = fc.oneof(
    texts,
    fc
      .tuple(
        fc.string({ unit: fc.constantFrom(...'a\u0080\u07ff\u0800\ud7ff\ue000\uffff😀\u{10ffff}'), maxLength: 5 }),
        texts,
      )
      .map(([s, b]) => Buffer.concat([Buffer.from(s), b])),
  )
  const attempt = (act: () => unknown) => {
    try {
      return act()
    } catch {
      return undefined
    }
  }
  holds(
    t,
    fc.property(seeded, (raw) => {
      const body = Buffer.concat([Buffer.from([0x91, 0xd9, raw.length]), raw])
      return attempt(() => bodyOf(body)[0]) === attempt(() => strict.decode(raw))
    }),
    5_000,
  )
})
