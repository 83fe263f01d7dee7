import fc from 'fast-check'
import t from 'tap'
import { seeded } from '../kill/players.js'
import { bruteForce } from './brute.js'
import {
  leaseResult,
  leaseWish,
  lived,
  loose,
  readAll,
  registerResult,
  registerWish,
  type Shape,
  trueLease,
  trueRegister,
} from './generate.js'
import { QueuedLease, queueResult, queueWishes } from './generatequeue.js'
import { lease } from './lease.js'
import type { Model } from './model.js'
import type { Operation } from './operation.js'
import { register } from './register.js'
import { search } from './search.js'

const BOUNDS = { stepsMax: 5_000_000, over: () => false }
const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const small = fc.record({
  operations: fc.integer({ min: 1, max: 7 }),
  processes: fc.integer({ min: 1, max: 4 }),
  unknownShare: fc.constantFrom(0, 0.2, 0.5),
})
const large = fc.record({
  operations: fc.integer({ min: 1, max: 300 }),
  processes: fc.integer({ min: 1, max: 6 }),
  unknownShare: fc.constantFrom(0, 0.02, 0.1),
})

const verdict = <State, Act>(model: Model<State, Act>, operations: readonly Operation<Act>[]) =>
  search(model, operations, BOUNDS).verdict

/** How often each side was met: a comparison that only ever sees one verdict shows nothing. */
function agree<State, Act>(model: Model<State, Act>, make: (shape: Shape, seed: number) => Operation<Act>[]): number[] {
  const met = [0, 0]
  fc.assert(
    fc.property(small, seed, (shape, seed) => {
      const operations = make(shape, seed)
      const expected = bruteForce(model, operations)
      met[Number(expected)]!++
      const found = verdict(model, operations)
      if (found !== (expected ? 'linearizable' : 'not linearizable'))
        throw new Error(`${found}, by all orders ${expected}`)
    }),
    { numRuns: 3_000 },
  )
  return met
}

t.test('the search agrees with trying all orders of a register', async (t) => {
  const met = agree(register, (shape, seed) =>
    readAll(register, loose(registerWish, registerResult, shape, seeded(seed))),
  )
  t.ok(Math.min(...met) > 100, `${met}`)
})

t.test('the search agrees with trying all orders of a lease', async (t) => {
  const met = agree(lease, (shape, seed) => readAll(lease, loose(leaseWish, leaseResult, shape, seeded(seed))))
  t.ok(Math.min(...met) > 100, `${met}`)
})

t.test('the search agrees with trying all orders of a true lease of which one answer was exchanged', async (t) => {
  const met = agree(lease, (shape, seed) => {
    const random = seeded(seed)
    const raw = lived(trueLease(), leaseWish, shape, random)
    const wrong = Math.floor(random() * raw.length)
    const other = raw.map((one, i) =>
      i === wrong && one.output !== null ? { ...one, output: { value: leaseResult(one.f, random) } } : one,
    )
    return readAll(lease, other)
  })
  t.ok(Math.min(...met) > 100, `${met}`)
})

t.test('the search agrees with trying all orders of a lease with a queue', async (t) => {
  const met = agree(lease, (shape, seed) => {
    const random = seeded(seed)
    const raw = lived(new QueuedLease().thing, queueWishes(), shape, random)
    const wrong = Math.floor(random() * raw.length)
    const other = raw.map((one, i) =>
      i === wrong && one.output !== null ? { ...one, output: { value: queueResult(one.f, random) } } : one,
    )
    return readAll(lease, other)
  })
  t.ok(Math.min(...met) > 100, `${met}`)
})

t.test('what a true lease with a queue did is linearizable', async () => {
  const queued = fc.record({
    operations: fc.integer({ min: 1, max: 60 }),
    processes: fc.constant(3),
    unknownShare: fc.constantFrom(0, 0.02),
  })
  fc.assert(
    fc.property(queued, seed, (shape, seed) => {
      const raw = lived(new QueuedLease().thing, queueWishes(), shape, seeded(seed))
      const found = verdict(lease, readAll(lease, raw))
      if (found !== 'linearizable') throw new Error(found)
    }),
    { numRuns: 300 },
  )
})

t.test('what a true register did is linearizable, and so is what a true lease did', async () => {
  fc.assert(
    fc.property(large, seed, (shape, seed) => {
      const ofRegister = readAll(register, lived(trueRegister(), registerWish, shape, seeded(seed)))
      if (verdict(register, ofRegister) !== 'linearizable') throw new Error('register')
      const ofLease = readAll(lease, lived(trueLease(), leaseWish, shape, seeded(seed)))
      if (verdict(lease, ofLease) !== 'linearizable') throw new Error('lease')
    }),
    { numRuns: 300 },
  )
})

t.test('one read of a value that nobody wrote is found in any history', async () => {
  fc.assert(
    fc.property(large, seed, fc.nat(), (shape, seed, where) => {
      const raw = lived(trueRegister(), registerWish, shape, seeded(seed))
      const reads = raw.filter(({ f, output }) => f === 'read' && output !== null)
      fc.pre(reads.length > 0)
      const wrong = reads[where % reads.length]!
      const mutated = raw.map((one) => (one === wrong ? { ...one, output: { value: 99 } } : one))
      if (verdict(register, readAll(register, mutated)) !== 'not linearizable') throw new Error('let through')
    }),
    { numRuns: 200 },
  )
})

t.test('one token given twice, or lower than before, is found in any history', async () => {
  fc.assert(
    fc.property(large, seed, fc.nat(), (shape, seed, where) => {
      const raw = lived(trueLease(), leaseWish, { ...shape, unknownShare: 0 }, seeded(seed))
      const grants = raw.filter(({ f, output }) => f === 'acquire' && typeof output?.value === 'number')
      fc.pre(grants.length > 1)
      grants.sort((a, b) => (a.output!.value as number) - (b.output!.value as number))
      const wrong = grants[1 + (where % (grants.length - 1))]!
      const value = (wrong.output!.value as number) - 1
      const mutated = raw.map((one) => (one === wrong ? { ...one, output: { value } } : one))
      if (verdict(lease, readAll(lease, mutated)) !== 'not linearizable') throw new Error('let through')
    }),
    { numRuns: 200 },
  )
})

t.test('100,000 operations one after the other are judged without end of the stack', async (t) => {
  const shape = { operations: 100_000, processes: 4, unknownShare: 0 }
  const operations = readAll(register, lived(trueRegister(), registerWish, shape, seeded(1)))
  const found = search(register, operations, BOUNDS)
  t.equal(found.verdict, 'linearizable')
  t.ok(found.steps < 20 * shape.operations, `${found.steps} steps`)
})

t.test('one slow operation over thousands of others costs no more than they do', async (t) => {
  const shape = { operations: 10_000, processes: 4, unknownShare: 0 }
  const raw = lived(trueRegister(), registerWish, shape, seeded(2))
  const slow = { f: 'write', input: 77, output: { value: null }, process: 99, calledAt: 0, endedAt: 1_000_000 }
  const found = search(register, readAll(register, [...raw, slow]), BOUNDS)
  t.equal(found.verdict, 'linearizable')
  t.ok(found.steps < 40 * shape.operations, `${found.steps} steps`)
})

/** All at once, then a read of what nobody wrote. */
function hopeless(writes: number, unknown: boolean): Operation<ReturnType<typeof actOf>>[] {
  const all = Array.from({ length: writes }, (_, i) => ({
    f: 'write',
    input: i,
    output: unknown ? null : { value: null },
    process: i,
    calledAt: i,
    endedAt: unknown ? Number.POSITIVE_INFINITY : 1_000 + i,
  }))
  const look = { f: 'read', input: null, output: { value: 'x' }, process: 999, calledAt: 5_000, endedAt: 5_001 }
  return readAll(register, [...all, look])
}
const actOf = () => readAll(register, [])[0]!.act

t.test('what is too hard within the bounds is unknown, never a verdict', async (t) => {
  const operations = hopeless(30, false)
  const found = search(register, operations, { stepsMax: 50_000, over: () => false })
  t.equal(found.verdict, 'unknown')
  t.ok(found.steps < 51_000)
  let looks = 0
  const timed = search(register, operations, { stepsMax: 5_000_000, over: () => ++looks > 2 })
  t.equal(timed.verdict, 'unknown')
})

t.test('a hundred writes of unknown outcome do not hide a wrong read', async (t) => {
  const found = search(register, hopeless(100, true), BOUNDS)
  t.equal(found.verdict, 'not linearizable')
  t.ok(found.steps < 200_000, `${found.steps} steps`)
})
