/** For how long a grant may be used: whatever time, sleep and people do to the clocks, never longer than the cluster keeps it. */
import { type Clocks, checkDrift, type Mark, PARTING_MS, Timeline, validityMs } from '@leasehold/client/internals'
import fc from 'fast-check'
import t from 'tap'

/** True time, and the clocks of one machine in it. */
class Machine implements Clocks {
  trueMs = 0
  #awakeMs = 0
  #setMs = 0
  readonly rate: number
  readonly grainMs: number
  uptime = true
  constructor(rate = 1, grainMs = 10) {
    this.rate = rate
    this.grainMs = grainMs
  }
  monotonicMs = () => 5_000 + this.#awakeMs * this.rate
  wallMs = () => Math.floor(1.7e12 + this.trueMs * this.rate + this.#setMs)
  uptimeMs = () =>
    this.uptime ? Math.floor((90_120 + this.trueMs * this.rate) / this.grainMs) * this.grainMs : Number.NaN
  after = () => ({ cancel: () => {}, hold: () => {} })
  next = () => {}
  soon = () => {}

  work(ms: number): void {
    this.trueMs += ms
    this.#awakeMs += ms
  }
  sleep(ms: number): void {
    this.trueMs += ms
  }
  setWall(byMs: number): void {
    this.#setMs += byMs
  }
}

t.test('validity takes drift and rounding off what the cluster said', async (t) => {
  t.equal(validityMs(10_000, 0.015), 9_848)
  t.equal(validityMs(100, 0.015), 96)
  t.equal(validityMs(1, 0.015), -2)
  t.equal(checkDrift(0.02), 0.02, 'drift may be raised')
  for (const drift of [0.0149, 0, -1, Number.NaN, 0.5]) t.throws(() => checkDrift(drift), RangeError, `never ${drift}`)
})

type Step =
  | { readonly kind: 'work'; readonly ms: number }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'set'; readonly ms: number }
  | { readonly kind: 'look' }
  | { readonly kind: 'send' }

const ms = (max: number) => fc.double({ min: 0, max, noNaN: true })
const work = fc.record({ kind: fc.constant('work' as const), ms: ms(4_000) })
const look = fc.constant({ kind: 'look' as const })
const send = fc.constant({ kind: 'send' as const })
const forward = fc.record({ kind: fc.constant('set' as const), ms: fc.oneof(ms(200), ms(4e6)) })
const shortSleep = fc.record({ kind: fc.constant('sleep' as const), ms: ms(300) })
const longSleep = fc.record({
  kind: fc.constant('sleep' as const),
  ms: fc.double({ min: 1_000, max: 40_000, noNaN: true }),
})
const back = fc.record({ kind: fc.constant('set' as const), ms: fc.oneof(ms(200), ms(4e6)).map((by) => -by) })
const rates = fc.constantFrom(0.995, 0.9985, 1, 1.005)

/** Runs the steps; at each look, no grant may be usable that the fastest cluster clock would have ended. */
function neverLonger(steps: readonly Step[], rate: number, ttlMs: number, grainMs: number): void {
  const machine = new Machine(rate, grainMs)
  const timeline = new Timeline(machine)
  const grants: { mark: Mark; sentMs: number; lost: boolean }[] = []
  const look = () => {
    for (const grant of grants) {
      // An object whose check failed is not looked at again: loss is sticky there.
      if (grant.lost) continue
      const leftMs = timeline.leftMs(grant.mark, validityMs(ttlMs, 0.015))
      if (leftMs < 1) grant.lost = true
      else if (machine.trueMs + leftMs / 1.01 > grant.sentMs + ttlMs / 1.005 + ttlMs * 0.001)
        throw new Error(`usable at ${machine.trueMs} for ${leftMs} ms; sent at ${grant.sentMs} for ${ttlMs} ms`)
    }
  }
  for (const step of steps) {
    if (step.kind === 'work') machine.work(step.ms)
    else if (step.kind === 'sleep') machine.sleep(step.ms)
    else if (step.kind === 'set') machine.setWall(step.ms)
    else if (step.kind === 'send') grants.push({ mark: timeline.mark(), sentMs: machine.trueMs, lost: false })
    look()
  }
}

t.test('no interleaving of work, sleep and clocks set forward lengthens a grant', async () => {
  const steps = fc.array(fc.oneof(work, look, send, forward, shortSleep, longSleep), { maxLength: 40 })
  fc.assert(fc.property(steps, rates, fc.integer({ min: 100, max: 20_000 }), fc.constantFrom(10, 1_000), neverLonger), {
    numRuns: 1_500,
  })
})

t.test('nor does a clock set back between sleeps, by whatever', async () => {
  // What the machine cannot see is a sleep and a clock set back by as much, both between two looks.
  const steps = fc.array(fc.oneof(work, look, send, forward, longSleep, back), { maxLength: 40 })
  fc.assert(fc.property(steps, rates, fc.integer({ min: 100, max: 20_000 }), fc.constantFrom(10, 1_000), neverLonger), {
    numRuns: 1_500,
  })
})

t.test('planted: by the monotonic clock alone, a sleep would lengthen a grant', async (t) => {
  const machine = new Machine()
  const timeline = new Timeline(machine)
  const mark = timeline.mark()
  machine.sleep(20_000)
  t.ok(10_000 - (machine.monotonicMs() - mark.monotonicMs) > 0, 'that clock stood still')
  t.ok(timeline.leftMs(mark, 10_000) <= 0)
  t.ok(timeline.suspended(mark, 10_000), 'and this is known to be why')
})

t.test('a wall clock set forward or back by hours costs a grant little where the uptime settles it', async (t) => {
  for (const byMs of [3_600_000, -3_600_000, 60, -60]) {
    const machine = new Machine()
    const timeline = new Timeline(machine)
    const mark = timeline.mark()
    machine.work(1_000)
    machine.setWall(byMs)
    const leftMs = timeline.leftMs(mark, 10_000)
    t.ok(leftMs <= 9_000, `${byMs}: never more than is left`)
    t.ok(leftMs >= 9_000 - 2 * PARTING_MS - 50, `${byMs}: ${leftMs} ms are left`)
    machine.work(1_000)
    t.ok(timeline.leftMs(timeline.mark(), 10_000) > 9_900, 'a later grant loses nothing')
  }
})

t.test('where no clock can settle it, what was granted before is lost, and what comes after counts', async (t) => {
  const machine = new Machine()
  const timeline = new Timeline(machine)
  const mark = timeline.mark()
  machine.uptime = false
  machine.work(1_000)
  t.ok(timeline.leftMs(mark, 10_000) > 8_900, 'nothing parts: nothing to settle')
  machine.setWall(3_600_000)
  t.equal(timeline.leftMs(mark, 10_000), 0)
  t.ok(timeline.suspended(mark, 10_000))
  const later = timeline.mark()
  machine.work(100)
  t.ok(timeline.leftMs(later, 10_000) > 9_800)
})

t.test(
  'a sleep that a clock set back hides from the quick clocks is found by the uptime when next something is sent',
  async (t) => {
    const machine = new Machine()
    const timeline = new Timeline(machine)
    const mark = timeline.mark()
    machine.work(61_000)
    machine.sleep(100_000)
    machine.setWall(-100_000)
    timeline.mark()
    t.ok(timeline.leftMs(mark, 120_000) < 0)
  },
)

t.test('slow corrections of the wall clock never part the clocks', async (t) => {
  const machine = new Machine()
  const timeline = new Timeline(machine)
  const first = timeline.mark()
  for (let i = 0; i < 300; i++) {
    machine.work(10_000)
    machine.setWall(5)
    timeline.mark()
  }
  const leftMs = timeline.leftMs(first, 4_000_000)
  t.ok(leftMs <= 1_000_000 && leftMs > 1_000_000 - 300 * 5 - 2, `${leftMs}: what the corrections came to, no more`)
})
