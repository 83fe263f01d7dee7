/** What the sketches promise, against exact counts: never too little, and too much by no more than is said. */
import { CountMin, KeyHash, mergeTalkers, Talkers } from '@leasehold/server/quota'
import fc from 'fast-check'
import t from 'tap'

const HALF_LIFE_MS = 1_000
const key = fc.integer({ min: 0, max: 40 }).map((n) => `k${n}`)
const takes = fc.array(
  fc.record({
    key,
    weight: fc.integer({ min: 1, max: 50 }),
    ms: fc.oneof(fc.constant(0), fc.integer({ max: 5_000, min: 0 })),
  }),
  { minLength: 1, maxLength: 200 },
)

/** The same by its definition: each weight halves in each half-life. */
class Exact {
  readonly #all: { key: string; weight: number; atMs: number }[] = []
  add(key: string, weight: number, atMs: number): void {
    this.#all.push({ key, weight, atMs })
  }
  of(key: string | null, nowMs: number): number {
    let sum = 0
    for (const one of this.#all) {
      if (key === null || one.key === key) sum += one.weight * 2 ** -((nowMs - one.atMs) / HALF_LIFE_MS)
    }
    return sum
  }
  get keys(): readonly string[] {
    return [...new Set(this.#all.map(({ key }) => key))]
  }
}

/** Of what was rounded. */
const ABOUT = 1 + 1e-9

t.test('a sketch never says less than was taken, however many share its cells and however long it runs', async () => {
  fc.assert(
    fc.property(takes, fc.constantFrom(2, 8, 1_024), (all, width) => {
      const sketch = new CountMin(width, 3, HALF_LIFE_MS, 0)
      const exact = new Exact()
      const hash = new KeyHash()
      let nowMs = 0
      for (const { key, weight, ms } of all) {
        nowMs += ms
        const { high, low } = hash.of(key, 7)
        sketch.add(high, low, weight, nowMs)
        exact.add(key, weight, nowMs)
      }
      const total = exact.of(null, nowMs)
      return exact.keys.every((key) => {
        const { high, low } = hash.of(key, 7)
        const said = sketch.estimate(high, low, nowMs)
        return said * ABOUT >= exact.of(key, nowMs) && said <= total * ABOUT
      })
    }),
    { numRuns: 500 },
  )
})

t.test('it says too much to no more keys than its size promises', async (t) => {
  const [width, depth, keys] = [1_024, 4, 20_000]
  const sketch = new CountMin(width, depth, 1e9, 0)
  const hash = new KeyHash()
  for (let n = 0; n < keys; n++) {
    const { high, low } = hash.of(`customer-${n}`, 99)
    sketch.add(high, low, 1, 0)
  }
  let beyond = 0
  for (let n = 0; n < keys; n++) {
    const { high, low } = hash.of(`customer-${n}`, 99)
    if (sketch.estimate(high, low, 0) - 1 > (Math.E / width) * keys) beyond++
  }
  t.ok(beyond <= keys * Math.exp(-depth), `${beyond} of ${keys} beyond e / width of all`)
})

t.test('keys that differ a little have hashes that differ in about half of their bits', async (t) => {
  const hash = new KeyHash()
  let differing = 0
  let pairs = 0
  const seen = new Set<number>()
  for (let n = 0; n < 20_000; n++) {
    const one = { ...pick(hash.of(`user:${n}`, 1)) }
    const other = pick(hash.of(`user:${n + 1}`, 1))
    differing += bits(one.high ^ other.high) + bits(one.low ^ other.low)
    pairs++
    seen.add(one.low)
  }
  const share = differing / pairs / 64
  t.ok(share > 0.49 && share < 0.51, `${share}`)
  t.ok(seen.size > 19_980, `${seen.size} of 20000 lower halves differ`)
  const whole = hash.of('a', 1).whole
  t.not(hash.of('a', 2).whole, whole, 'another seed, another hash')
  t.ok(Number.isSafeInteger(whole))
})

const pick = ({ high, low }: KeyHash) => ({ high, low })

function bits(of: number): number {
  let count = 0
  for (let rest = of >>> 0; rest !== 0; rest &= rest - 1) count++
  return count
}

t.test('whoever asks for much is counted, and by no more than a share of all too much', async () => {
  fc.assert(
    fc.property(takes, fc.integer({ min: 1, max: 12 }), (all, counters) => {
      const talkers = new Talkers(counters, HALF_LIFE_MS, 0)
      const exact = new Exact()
      let nowMs = 0
      for (const { key, weight, ms } of all) {
        nowMs += ms
        talkers.add(talkers.group('q'), key, weight, nowMs)
        exact.add(key, weight, nowMs)
      }
      const mean = HALF_LIFE_MS / Math.LN2
      const perS = 1_000 / (mean * (1 - Math.exp(-Math.max(1_000, nowMs) / mean)))
      const { errorPerS, rows, totals } = talkers.summary(100, 10_000, nowMs)
      const total = exact.of(null, nowMs) * perS
      if (errorPerS > (total / counters) * ABOUT) return false
      if (Math.abs(totals[0]![1] - total) > total * 1e-6) return false
      const shown = new Map(rows.map(([, key, rate]) => [key, rate]))
      return exact.keys.every((key) => {
        const rate = exact.of(key, nowMs) * perS
        const low = shown.get(key) ?? 0
        return low <= rate * ABOUT + 1e-9 && rate <= (low + errorPerS) * ABOUT + 1e-9
      })
    }),
    { numRuns: 500 },
  )
})

t.test('nobody is hidden by a flood of others, each of whom asks once', async (t) => {
  const talkers = new Talkers(64, 30_000, 0)
  const group = talkers.group('q')
  let nowMs = 0
  for (let n = 0; n < 200_000; n++) {
    nowMs += 0.1
    talkers.add(group, n % 40 === 0 ? 'heavy' : `flood-${n}`, 1, nowMs)
  }
  const { keys } = mergeTalkers([talkers.summary(64, 1e6, nowMs)], 'q', 3)
  t.equal(keys[0]!.key, 'heavy')
  const { ratePerS, errorPerS } = keys[0]!
  t.ok(
    ratePerS >= 249.9 && ratePerS - errorPerS <= 250,
    `250 a second lie within ${ratePerS - errorPerS} and ${ratePerS}`,
  )
})

t.test('a summary cut short says so with its error, and several add up', async (t) => {
  const members = [0, 1, 2].map(() => new Talkers(100, 30_000, 0))
  for (const [at, talkers] of members.entries()) {
    const group = talkers.group('q')
    for (let n = 1; n <= 20; n++) for (let times = 0; times < n; times++) talkers.add(group, `k${n}`, at + 1, 1_000)
    talkers.add(talkers.group('other'), 'k20', 1_000, 1_000)
  }
  const whole = mergeTalkers(
    members.map((one) => one.summary(100, 1e6, 1_000)),
    'q',
    5,
  )
  t.same(
    whole.keys.map(({ key }) => key),
    ['k20', 'k19', 'k18', 'k17', 'k16'],
  )
  t.equal(whole.keys[0]!.errorPerS, 0)
  t.ok(Math.abs(whole.totalPerS - whole.keys[0]!.ratePerS * (210 / 20)) < 1e-6)
  const cut = mergeTalkers(
    members.map((one) => one.summary(6, 1e6, 1_000)),
    'q',
    100,
  )
  t.ok(cut.keys.length < 20 && cut.keys[0]!.errorPerS > 0)
  for (const { key, ratePerS, errorPerS } of cut.keys) {
    const exact = (whole.keys[0]!.ratePerS / 20) * Number(key.slice(1))
    t.ok(ratePerS >= exact - 1e-6 && ratePerS - errorPerS <= exact + 1e-6, key)
  }
  t.ok(members[0]!.summary(100, 300, 1_000).rows.length < 21, 'bytes are bounded')
  members[0]!.forget('other')
  t.same(
    members[0]!.summary(100, 1e6, 1_000).totals.map(([name]) => name),
    ['q'],
  )
})
