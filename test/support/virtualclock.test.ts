import t from 'tap'
import { VirtualClock } from './virtualclock.js'

t.test('timers fire in the order of their due times, soon-tasks between them', async (t) => {
  const clock = new VirtualClock({ monotonicMs: 0 })
  const seen: string[] = []
  clock.after(20, () => seen.push(`after at ${clock.monotonicMs()}`))
  const stop = clock.every(15, () => {
    seen.push(`every at ${clock.monotonicMs()}`)
    clock.soon(() => seen.push('soon'))
  })
  clock.advance(30)
  t.same(seen, ['every at 15', 'soon', 'after at 20', 'every at 30', 'soon'])
  stop()
  clock.advance(100)
  t.equal(seen.length, 5, 'a stopped timer is silent')
  t.equal(clock.timers, 0)
})

t.test('a stall fires what became due once each, late', async (t) => {
  const clock = new VirtualClock({ monotonicMs: 0 })
  let fired = 0
  clock.every(10, () => fired++)
  clock.stall(1_000)
  t.equal(fired, 1)
  clock.advance(10)
  t.equal(fired, 2)
})

t.test('the clocks part when a test says so', async (t) => {
  const clock = new VirtualClock({ monotonicMs: 5, wallMs: 100 })
  clock.sleep(50)
  t.same([clock.monotonicMs(), clock.wallMs()], [5, 150])
  await clock.run(10)
  t.same([clock.monotonicMs(), clock.wallMs()], [15, 160])
  clock.setWall(1)
  clock.setMonotonic(2)
  t.same([clock.monotonicMs(), clock.wallMs()], [2, 1])
})
