import { assertLimits, ERRORS, errorOfWire, LIMITS } from '@leasehold/protocol'
import t from 'tap'

t.test('limits that disagree are refused at import', async (t) => {
  t.throws(() => assertLimits({ ...LIMITS, ttlMsDefault: LIMITS.ttlMsMax + 1 }), /default ttl/)
  t.throws(() => assertLimits({ ...LIMITS, httpBodyBytesMax: 3_000 }), /largest command/)
})

t.test('every error has a wire number of its own, and finds its way back', async (t) => {
  const seen = new Set<number>()
  for (const [code, row] of Object.entries(ERRORS)) {
    if (row.wire === 0) continue
    t.notOk(seen.has(row.wire), `${code} has a number of its own`)
    seen.add(row.wire)
    t.equal(errorOfWire(row.wire), code)
  }
  t.equal(errorOfWire(65_535), 'INTERNAL')
})
