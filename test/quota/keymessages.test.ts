/** What members say to each other about keys: everything survives the trip, later fields are passed over, and garbage is refused. */
import { isDeepStrictEqual } from 'node:util'
import { ProtocolError, pack, unpack } from '@leasehold/protocol'
import { decodeKeys, encodeKeys, KEYS, type KeyMessage, QUOTA_LIMITS } from '@leasehold/server/quota'
import fc from 'fast-check'
import t from 'tap'

const natural = fc.maxSafeNat()
const text = fc.string({ minLength: 1, maxLength: 20 })
const rate = fc.double({ min: 0, max: 1e12, noNaN: true })
const ask = fc.record({ quota: text, key: text, least: natural, wanted: natural, back: natural, taken: natural })
const share = fc.record({ granted: natural, retryAfterMs: natural, remaining: natural })
const talk = fc.uniqueArray(text, { minLength: 1, maxLength: 5 }).chain((names) =>
  fc.record({
    errorPerS: rate,
    totals: fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), rate))),
    rows: fc.array(fc.tuple(fc.constantFrom(...names), text, rate), { maxLength: 20 }),
  }),
)
const message: fc.Arbitrary<KeyMessage> = fc.oneof(
  fc.record({ kind: fc.constant(KEYS.ask), seq: natural, asks: fc.array(ask, { maxLength: 20 }) }),
  fc.record({ kind: fc.constant(KEYS.share), seq: natural, shares: fc.array(share, { maxLength: 20 }) }),
  fc.record({
    ...{ kind: fc.constant(KEYS.listed), round: natural, part: fc.constant(1), parts: fc.constant(3) },
    hashes: fc.array(natural, { maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant(KEYS.talk), summary: talk }),
)

t.test('what is said is heard, also by who knows less', async () => {
  fc.assert(
    fc.property(message, (said) => {
      const bytes = encodeKeys(said)
      const later = pack([...unpack(bytes, 0, bytes.length, { depthMax: 2, itemsMax: 100_000 }), 'new'])
      return [bytes, later].every((all) => isDeepStrictEqual(decodeKeys(all), structuredClone(said)))
    }),
    { numRuns: 200 },
  )
})

t.test('what is no such message is refused, and nothing else happens', async (t) => {
  for (const fields of [
    [],
    [9],
    [KEYS.ask],
    [KEYS.ask, 1, 2, 'q', 'k', 1, 1, 0, 0],
    [KEYS.ask, 1, 1, 'q', '', 1, 1, 0, 0],
    [KEYS.ask, 1, 1, 'q', 'k', -1, 1, 0, 0],
    [KEYS.ask, 1, QUOTA_LIMITS.keyAsksMax + 1],
    [KEYS.share, 1, 1, 1, 1.5, 1],
    [KEYS.listed, 1, 3, 3, new Uint8Array(8)],
    [KEYS.listed, 1, 0, 1, new Uint8Array(7)],
    [KEYS.listed, 1, 0, 1, 'hashes'],
    [KEYS.listed, 1, 0, QUOTA_LIMITS.keyPartsMax + 1, new Uint8Array(8)],
    [KEYS.talk, Number.NaN, 0, 0],
    [KEYS.talk, 1, 1, 'q', 1, 1, 1, 'k', 1],
    [KEYS.talk, 1, 1, 'q', 1, 1, 0, 'k', -1],
  ]) {
    t.throws(() => decodeKeys(pack(fields)), ProtocolError, JSON.stringify(fields))
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeKeys(bytes)
        return true
      } catch (error) {
        return error instanceof ProtocolError
      }
    }),
    { numRuns: 2_000 },
  )
})
