import { assertLimits, ERRORS, errorOfWire, LIMITS } from '@leasehold/protocol'
import t from 'tap'

t.test('limits that disagree are refused at import', async (t) => {
  const broken: [{ [K in keyof typeof LIMITS]?: number }, RegExp][] = [
    [{ ttlMsDefault: LIMITS.ttlMsMax + 1 }, /default ttl/],
    [{ ttlMsDefault: LIMITS.ttlMsMin - 1 }, /default ttl/],
    [{ claimWithinMs: LIMITS.lostWaiterKeptMs }, /an offer ends before/],
    [{ waitMsMax: 2 * LIMITS.endingKeptMs }, /a wait ends within/],
    [{ httpBodyBytesMax: 3_000 }, /largest command fits an HTTP body/],
    [{ frameBytesMax: LIMITS.httpBodyBytesMax }, /largest command fits a frame/],
    [{ frameRequestsMax: 65_536 }, /count of a frame is a u16/],
    [{ repliesMax: 65_536 }, /count of a frame is a u16/],
    [{ repliesMax: LIMITS.frameRequestsMax - 1 }, /replies to a frame fit/],
    [{ pageMax: 10_000 }, /largest page/],
    [{ cursorBytesMax: LIMITS.nameBytesMax }, /every cursor/],
    [{ holdMs: LIMITS.holdEveryMs }, /horizon moves/],
    [{ beatMs: LIMITS.holdMs }, /a beat comes/],
    [{ driftMin: 0.001 }, /drift takes/],
    [{ restoredTokenGap: 2 ** 42 }, /restores leave tokens/],
    [{ pageDefault: LIMITS.pageMax + 1 }, /default page/],
  ]
  t.doesNotThrow(() => assertLimits(LIMITS))
  for (const [change, relation] of broken) {
    t.throws(() => assertLimits({ ...LIMITS, ...change }), { name: 'RangeError', message: relation })
  }
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
