import { PlainRow } from '@leasehold/server/storage'
import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'

const HEAD = Buffer.from([1, 2, 3, 4])
const behindHead = (bytes: Uint8Array) => Buffer.concat([HEAD, bytes])
const row = new PlainRow()
const read = (bytes: Uint8Array) => row.read(behindHead(bytes), HEAD.length)

const scalar = fc.oneof(
  fc.string({ maxLength: 300, unit: 'grapheme' }),
  fc.string({ maxLength: 40, unit: 'grapheme-ascii' }),
  fc.nat(),
  fc.maxSafeNat(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 4 }),
)

t.test('what it reads is what the general decoder reads; it gives up on nothing plain', async (t) => {
  const plain = fc.oneof(
    fc.string({ maxLength: 255, unit: 'grapheme-ascii' }),
    fc.maxSafeNat(),
    fc.boolean(),
    fc.constant(null),
  )
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 40 }), (fields) => t.strictSame(read(encode(fields)), fields) && true),
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })), { maxLength: 20 }), (fields) => {
      const bytes = encode(fields)
      const got = read(bytes)
      return got === null || t.same(got, decode(bytes))
    }),
  )
})

t.test('it gives up on whatever is cut, or longer than its array', async (t) => {
  const bytes = encode(['name', 7, 300, 70_000, 2 ** 40, null, true, 'x'.repeat(40)])
  for (let length = 0; length < bytes.length; length++)
    t.equal(read(bytes.subarray(0, length)), null, `${length} bytes`)
  t.equal(read(Buffer.concat([bytes, Buffer.from([0xc0])])), null)
  t.equal(read(encode('no array')), null)
  const long = encode(Array.from({ length: 768 }, (_, i) => i * 1_000))
  t.same(read(long), decode(long))
  for (let length = 0; length < long.length; length++)
    if (read(long.subarray(0, length)) !== null) t.fail(`${length} bytes`)
})

t.test('random bytes are read as the decoder reads them, or not at all', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const got = read(bytes)
      return got === null || t.same(got, decode(bytes))
    }),
    { numRuns: 2_000 },
  )
})
