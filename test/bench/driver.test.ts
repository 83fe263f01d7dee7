import t from 'tap'
import { closedLoop, type Done, openLoop } from '#bench/driver.js'
import { VirtualTiming } from './virtual.js'

/** A target that serves one unit after the other, each `serviceMs` long, and does nothing from `stallMs` to `untilMs`. */
function queueTarget(timing: VirtualTiming, serviceMs: number, stallMs = -1, untilMs = -1) {
  let freeMs = 0
  const begun: number[] = []
  const unit = (_slot: number, done: Done) => {
    const nowMs = timing.now()
    begun.push(nowMs)
    let startMs = Math.max(nowMs, freeMs)
    if (startMs >= stallMs && startMs < untilMs) startMs = untilMs
    freeMs = startMs + serviceMs
    timing.later(freeMs - nowMs, () => done(true))
  }
  return { unit, begun }
}

t.test('an open loop begins unit k at start + k / rate, whatever the target does', async (t) => {
  const timing = new VirtualTiming()
  const { unit, begun } = queueTarget(timing, 0.25)
  const loop = openLoop({ unit, ratePerS: 100, inFlightMax: 10, seconds: 1, warmSeconds: 0.5, timing })
  timing.run()
  const result = await loop
  t.equal(begun.length, 150, 'the warm-up comes in addition')
  begun.forEach((atMs, k) => {
    if (Math.abs(atMs - k * 10) > 1e-6) t.fail(`unit ${k} began at ${atMs}`)
  })
  t.equal(result.units, 100)
  t.equal(result.perS, 100)
  t.equal(result.latency.count, 100, 'the warm-up is not counted')
  t.ok(Math.abs(result.latency.max - 0.25) < 0.001)
})

t.test('a target that stalls shows in the percentiles with every unit that was due meanwhile', async (t) => {
  const timing = new VirtualTiming()
  const { unit } = queueTarget(timing, 0.1, 1_000, 2_000)
  // 4 seconds, the second of which is a stall: a quarter of the units wait, on average half of it.
  const loop = openLoop({ unit, ratePerS: 1_000, inFlightMax: 50, seconds: 4, warmSeconds: 0, timing })
  timing.run()
  const { latency, units, late } = await loop
  t.equal(units, 4_000)
  t.ok(latency.p50 < 1, `half of them never met the stall (${latency.p50} ms)`)
  t.ok(latency.p90 > 550 && latency.p90 < 700, `the ninth tenth waited for most of it (${latency.p90} ms)`)
  t.ok(latency.p99 > 900, `the last hundredth for nearly all of it (${latency.p99} ms)`)
  t.ok(late.max > 900, 'that they could not begin for want of a slot does not hide it')
})

t.test('a closed loop is blind to the same stall: so it is said in the output which loop it was', async (t) => {
  const timing = new VirtualTiming()
  const { unit } = queueTarget(timing, 0.1, 1_000, 2_000)
  const loop = closedLoop({ unit, inFlight: 10, seconds: 4, warmSeconds: 0, timing })
  timing.run()
  const { loop: kind, latency } = await loop
  t.equal(kind, 'closed')
  t.ok(latency.p99 < 2, `${latency.p99} ms`)
  t.ok(latency.max > 999)
})

t.test('a target that never answers is counted with the time it took so far', async (t) => {
  const timing = new VirtualTiming()
  const loop = openLoop({ unit() {}, ratePerS: 10, inFlightMax: 5, seconds: 2, warmSeconds: 0, timing })
  timing.run()
  const { units, unfinished, latency } = await loop
  t.equal(units, 0)
  t.equal(unfinished, 20, 'units without a slot count too')
  t.equal(latency.count, 20)
  t.ok(latency.p50 > 10_000, `from their intended start to the end of the drain (${latency.p50} ms)`)

  const closed = closedLoop({ unit() {}, inFlight: 5, seconds: 2, timing })
  timing.run()
  t.match(await closed, { units: 0, unfinished: 5, latency: { count: 5 } })
})

t.test('a closed loop keeps as many in flight as it was told, and counts what ends in its seconds', async (t) => {
  const timing = new VirtualTiming()
  let inFlight = 0
  let most = 0
  const unit = (slot: number, done: Done) => {
    most = Math.max(most, ++inFlight)
    timing.later(10, () => {
      inFlight--
      done(slot !== 3, slot % 2)
    })
  }
  const kinds = ['even', 'odd']
  const loop = closedLoop({ unit, kinds, inFlight: 4, seconds: 1, warmSeconds: 0.195, timing })
  timing.run()
  const result = await loop
  t.equal(most, 4)
  t.equal(result.units, 300, 'the slot that fails is not throughput')
  t.equal(result.failed, 101, 'its last unit ended after the seconds: its latency counts, its work does not')
  t.equal(result.byKind.even?.count, 202)
  t.equal(result.byKind.odd?.count, 202)
  t.equal(inFlight, 0, 'it waits for its last units')
})

t.test('the observer sees each counted unit with its intended start', async (t) => {
  const timing = new VirtualTiming()
  const { unit } = queueTarget(timing, 1)
  const seen: number[] = []
  const observe = (intendedMs: number) => void seen.push(Math.round(intendedMs))
  const loop = openLoop({ unit, ratePerS: 10, inFlightMax: 5, seconds: 1, warmSeconds: 0.5, timing, observe })
  timing.run()
  await loop
  t.strictSame(seen, [500, 600, 700, 800, 900, 1_000, 1_100, 1_200, 1_300, 1_400])
})

t.test('a unit that ends twice, or before it has returned, is a defect of the scenario', async (t) => {
  const timing = new VirtualTiming()
  t.rejects(
    closedLoop({ unit: (_slot, done) => done(true), inFlight: 1, seconds: 1, timing }),
    /must not end before it has returned/,
  )
  let twice: Done = () => {}
  const unit = (_slot: number, done: Done) => {
    twice = done
  }
  void closedLoop({ unit, inFlight: 1, seconds: 1, warmSeconds: 0, timing })
  timing.later(1_500, () => {
    twice(true)
    t.throws(() => twice(true), /ended twice/)
  })
  timing.run()
})

t.test('impossible loads are refused', async (t) => {
  const unit = () => {}
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => closedLoop({ unit, inFlight: bad, seconds: 1 }), RangeError)
    t.throws(() => openLoop({ unit, ratePerS: bad, inFlightMax: 1, seconds: 1 }), RangeError)
    t.throws(() => openLoop({ unit, ratePerS: 1, inFlightMax: 1, seconds: bad }), RangeError)
  }
})
