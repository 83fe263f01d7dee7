import { eventBytes, eventFields, sharedEventBytes } from '@leasehold/protocol'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'
import { PlainWriter } from '#protocol/plain.js'
import { events, holds } from './support.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const edges = [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
const texts = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.constantFrom(...[0, 31, 32, 255, 256].map((length) => 'x'.repeat(length))),
)
const others = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 9 }),
  fc.double(),
  fc.constantFrom(
    -1,
    -0,
    1.5,
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    undefined,
    'é',
    'a\u0080',
    '\ud83d\ude00',
  ),
)
const plainLeaf = fc.oneof(fc.boolean(), fc.constant(null), fc.maxSafeNat(), fc.constantFrom(...edges), texts)
const { tree } = fc.letrec<{ tree: unknown[] }>((tie) => ({
  tree: fc.array(fc.oneof({ maxDepth: 4 }, plainLeaf, others, tie('tree')), { maxLength: 20 }),
}))

t.test('what the plain writer writes is what MessagePack is, and it gives up on everything else', async (t) => {
  const writer = new PlainWriter()
  let written = 0
  holds(
    t,
    fc.property(tree, (fields) => {
      const bytes = writer.write(fields)
      if (bytes !== null) written++
      return bytes === null || hex(bytes) === hex(encode(fields))
    }),
    2_000,
  )
  t.ok(written > 100, `${written} were plain`)
  holds(
    t,
    fc.property(fc.array(plainLeaf, { maxLength: 40 }), (fields) => {
      const bytes = writer.write(fields)
      return bytes !== null && hex(bytes) === hex(encode(fields))
    }),
    500,
  )
})

t.test('values that it must not write', async (t) => {
  const writer = new PlainWriter()
  for (const value of [-1, -0, 0.5, 2 ** 53, Number.NaN, undefined, 'ü', new Uint8Array(1), {}, 1n])
    t.equal(writer.write(['a', [value]]), null, String(value))
})

t.test('large arrays and large frames, and small ones after them', async (t) => {
  const writer = new PlainWriter()
  for (const count of [15, 16, 65_535, 65_536]) {
    const fields = new Array(count).fill(7)
    t.equal(hex(writer.write(fields) ?? new Uint8Array()), hex(encode(fields)))
  }
  for (const length of [65_535, 65_536]) {
    const fields = ['x'.repeat(length)]
    t.equal(hex(writer.write(fields) ?? new Uint8Array()), hex(encode(fields)))
  }
  const frame = new Array(50).fill('y'.repeat(65_536))
  t.equal(writer.write(frame)?.length, encode(frame).length)
  t.equal(hex(writer.write(['z']) ?? new Uint8Array()), '91a17a', 'after the large buffer was given back')
})

t.test('events have the same bytes on every way, whatever their texts hold', async (t) => {
  holds(
    t,
    fc.property(events, (event) => {
      const expected = hex(encode(eventFields(event)))
      return hex(eventBytes(event)) === expected && hex(sharedEventBytes(event)) === expected
    }),
    500,
  )
})
