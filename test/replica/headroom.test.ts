/** The watermark of a disk that fills up. */
import { HEADROOM, Headroom } from '@leasehold/server/replica'
import t from 'tap'

t.test('a disk is low below the mark, and stays so until there is clearly enough', async (t) => {
  let free = 1_000
  const headroom = new Headroom(async () => free, { lowBytes: 100, enoughBytes: 200 })
  t.equal(headroom.low, false)
  const steps: [number, boolean][] = [
    [1_000, false],
    [100, false],
    [99, true],
    [150, true],
    [199, true],
    [200, false],
    [150, false],
    [0, true],
  ]
  for (const [bytes, low] of steps) {
    free = bytes
    t.equal(await headroom.check(), low, `${bytes} free`)
    t.equal(headroom.low, low)
  }
  t.throws(() => new Headroom(async () => 0, { lowBytes: 100, enoughBytes: 100 }), RangeError)
  t.ok(HEADROOM.enoughBytes > HEADROOM.lowBytes)
})
