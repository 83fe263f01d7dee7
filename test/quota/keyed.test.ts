/** Keyed admission over three members: who is below half of the limit is never denied, and who is above it is held to it. */
import { ERRORS, OK, TAKE } from '@leasehold/protocol'
import { QUOTA_LIMITS } from '@leasehold/server/quota'
import t from 'tap'
import { isDenied, KeyWorld, type Outcome, PER_KEY } from './keyworld.js'

const LIMIT_PER_S = 100
const BURST = 100

/** Takes of one key by one member, evenly spread. */
interface Stream {
  readonly key: string
  readonly at: number
  readonly perS: number
}

interface Tally {
  asked: number
  admitted: number
  denied: number
  other: number
}

/** Plays streams for so long, and counts what became of them. */
function play(world: KeyWorld, streams: readonly Stream[], forMs: number, everyStep = (_ms: number) => {}) {
  const tallies = new Map<string, Tally>()
  const due = streams.map(({ perS }) => (1_000 / perS) * world.random.next())
  const done = (tally: Tally) => (outcome: Outcome) => {
    if (outcome.code === OK) tally.admitted++
    else if (isDenied(outcome)) tally.denied++
    else tally.other++
  }
  for (const { key } of streams) tallies.set(key, { asked: 0, admitted: 0, denied: 0, other: 0 })
  for (let ms = 0; ms < forMs; ms++) {
    for (const [index, { key, at, perS }] of streams.entries()) {
      for (; due[index]! <= ms; due[index]! += 1_000 / perS) {
        const tally = tallies.get(key)!
        tally.asked++
        world.take(at, [['q', key]], { done: done(tally) })
      }
    }
    everyStep(ms)
    world.clock.advance(1)
  }
  world.clock.advance(2_000)
  return tallies
}

function spread(key: string, perS: number): Stream[] {
  return [0, 1, 2].map((at) => ({ key, at, perS: perS / 3 }))
}

t.test('keys above the limit are held within 3 percent of it, those below half of it are never denied', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  const seconds = 40
  const streams = [
    ...spread('hot-spread', 3_000),
    { key: 'hot-here', at: 0, perS: 500 },
    { key: 'hot-there', at: 1, perS: 500 },
    { key: 'hot-there', at: 2, perS: 10 },
    ...spread('over-spread', 140),
    { key: 'over', at: 2, perS: 125 },
    ...spread('half', 48),
    { key: 'half-there', at: 1, perS: 48 },
    ...Array.from({ length: 200 }, (_, n) => ({ key: `light-${n}`, at: n % 3, perS: 3 })),
  ]
  const tallies = play(world, streams, seconds * 1_000)
  for (const [key, { asked, admitted, denied, other }] of tallies) {
    t.equal(asked, admitted + denied, `${key} is answered, ${other} otherwise`)
    if (key.startsWith('half') || key.startsWith('light')) t.equal(denied, 0, `${key} is below half`)
    else {
      const bound = BURST + LIMIT_PER_S * seconds
      t.ok(admitted <= bound * 1.03 && admitted >= bound * 0.97, `${key}: ${admitted} admitted of ${bound}`)
    }
  }
})

t.test('a change of leader denies nobody below half, and gives a key one burst more at most', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  const seconds = 30
  const streams = [
    ...spread('hot', 1_000),
    { key: 'half', at: 1, perS: 48 },
    { key: 'half-led', at: 0, perS: 48 },
    ...spread('half-spread', 48),
  ]
  const changes = [5_000, 12_000, 20_000]
  const tallies = play(world, streams, seconds * 1_000, (ms) => {
    if (changes.includes(ms)) world.lead(null)
    // Nobody leads for a while.
    const since = changes.findIndex((at) => at + 700 === ms)
    if (since >= 0) world.lead((since + 1) % 3)
  })
  for (const [key, { asked, admitted, denied }] of tallies) {
    t.equal(asked, admitted + denied, `${key} is answered`)
    if (key !== 'hot') t.equal(denied, 0, key)
  }
  const { admitted } = tallies.get('hot')!
  const bound = BURST + LIMIT_PER_S * seconds
  t.ok(admitted <= bound * 1.03 + changes.length * BURST, `${admitted} admitted`)
  t.ok(admitted >= (bound - LIMIT_PER_S * 0.7 * changes.length) * 0.97, `${admitted} admitted`)
})

t.test('a member that starts again gives a key its share of what needs no bucket, and no more', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  const seconds = 20
  const tallies = play(world, spread('hot', 900), seconds * 1_000, (ms) => {
    if (ms === 10_000) world.restart(2)
  })
  const { admitted } = tallies.get('hot')!
  const theta = BURST / 6
  t.ok(admitted <= (BURST + LIMIT_PER_S * seconds) * 1.03 + theta, `${admitted} admitted`)
})

t.test('messages that are lost let nobody have more, and are made up for', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  const seconds = 20
  const streams = [...spread('hot', 600), { key: 'half', at: 1, perS: 45 }]
  const tallies = play(world, streams, seconds * 1_000, (ms) => {
    world.replicas[1]!.apart = ms % 4_000 < 300
  })
  const hot = tallies.get('hot')!
  t.ok(hot.admitted <= (BURST + LIMIT_PER_S * seconds) * 1.03, `${hot.admitted} admitted`)
  t.ok(hot.admitted >= (BURST + LIMIT_PER_S * seconds) * 0.9, `${hot.admitted} admitted`)
  t.equal(tallies.get('half')!.denied, 0)
  t.equal(tallies.get('half')!.other, 0)
})

t.test('without a leader light keys go on, the others hear so, or are let in where the quota says it', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.set('open', { ...PER_KEY, whenUnavailable: 'allow' })
  world.set('shade', { ...PER_KEY, shadow: true })
  world.lead(null)
  t.ok(world.admits(1, 'light'))
  const asked = (['q', 'open', 'shade'] as const).map((quota) => world.take(1, [[quota, 'heavy', 50]]))
  world.clock.advance(QUOTA_LIMITS.unavailableMs - 50)
  for (const { outcome } of asked) t.equal(outcome, null, 'they wait for a leader')
  world.clock.advance(100)
  t.same(
    asked.map(({ outcome }) => outcome!.code),
    [ERRORS.NO_QUORUM.wire, OK, OK],
  )
  t.same(
    asked.slice(1).map(({ outcome }) => outcome!.fields[4]),
    ['unavailable', 'unavailable'],
  )
  world.lead(1)
  t.ok(world.admits(1, 'heavy', 50))
})

t.test('who waits for a leader is served by the next one, also where it is this member', async (t) => {
  for (const next of [1, 2]) {
    const world = new KeyWorld()
    world.set('q')
    world.lead(null)
    const asked = world.take(1, [['q', 'heavy', 60]])
    world.clock.advance(500)
    t.equal(asked.outcome, null)
    world.lead(next)
    world.clock.advance(100)
    t.equal(asked.outcome?.code, OK, `n${next} leads`)
    t.equal(asked.outcome?.fields[4], 'key')
  }
})

t.test('an answer of a leader that is none any more changes nothing', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.delayMs = 40
  const asked = world.take(1, [['q', 'heavy', 60]])
  world.clock.advance(45)
  world.lead(2)
  world.clock.advance(45)
  t.equal(asked.outcome, null, 'the answer of the first one came after the change')
  world.clock.advance(200)
  t.equal(asked.outcome?.code, OK)
})

t.test('a denial says when to come back, and is remembered until then', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  t.ok(world.admits(1, 'k', 100))
  const told = world.told.length
  const first = world.take(1, [['q', 'k', 10]])
  world.clock.advance(10)
  t.equal(first.outcome?.code, ERRORS.QUOTA_EXCEEDED.wire)
  const [, retryAfterMs, remaining, limit] = first.outcome!.fields as [string, number, number, number]
  t.ok(retryAfterMs >= 80 && retryAfterMs <= 140, `${retryAfterMs}`)
  t.match([remaining, limit], [0, 100])
  const sent = world.told.length
  t.ok(sent > told)
  const second = world.take(1, [['q', 'k', 10]])
  t.equal(second.outcome?.code, ERRORS.QUOTA_EXCEEDED.wire, 'at once')
  t.equal(world.told.length, sent, 'nobody was asked')
  world.clock.advance(retryAfterMs + 5)
  t.ok(world.admits(1, 'k', 10))
})

t.test('takes up to a number, peeks, and takes from several quotas at once', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.set('r', { ...PER_KEY, bandwidths: [{ tokens: 10, perMs: 1_000, burst: 10 }] })
  const until = (asked: { outcome: Outcome | null }) => {
    for (let ms = 0; asked.outcome === null && ms < 1_000; ms++) world.clock.advance(1)
    return asked.outcome!
  }
  const peek = (at: number) => until(world.take(at, [['q', 'k']], { mode: TAKE.peek })).fields
  t.match(peek(1), [0, 100, 100, 0, 'key'])
  t.match(until(world.take(1, [['q', 'k', 80]])), { code: OK, fields: [80] })
  t.match(until(world.take(2, [['q', 'k', 90]], { mode: TAKE.upTo })), { code: OK, fields: [/^2\d$/] })
  t.match(until(world.take(2, [['q', 'k', 90]], { mode: TAKE.upTo })), { code: ERRORS.QUOTA_EXCEEDED.wire })
  t.match(peek(2), [0, 0, 100])

  const both = until(
    world.take(1, [
      ['q', 'a', 5],
      ['r', 'a', 5],
      ['r', 'b', 1],
      ['r', 'a', 5],
    ]),
  )
  t.match(both, { code: OK, fields: [5] })
  t.match(
    until(
      world.take(2, [
        ['q', 'a', 5],
        ['r', 'a', 1],
      ]),
    ),
    { code: ERRORS.QUOTA_EXCEEDED.wire },
  )
  world.clock.advance(5_000)
  t.match(
    until(
      world.take(0, [
        ['q', 'a', 95],
        ['r', 'a', 1],
      ]),
    ),
    { code: OK },
    'what was not taken came back',
  )
})

t.test('what is not used comes back once', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.set('r', { ...PER_KEY, bandwidths: [{ tokens: 1, perMs: 60_000, burst: 1 }] })
  t.ok(world.admits(1, 'k', 60))
  world.take(1, [['r', 'k']])
  world.clock.advance(10)
  let admitted = 60
  const startMs = world.nowMs
  const bound = () => BURST + (LIMIT_PER_S * (world.nowMs - startMs)) / 1_000
  // The other quota is used up: what is granted of this one comes back, again and again.
  for (let times = 0; times < 20; times++) {
    world.take(1, [
      ['q', 'k', 30],
      ['r', 'k'],
    ])
    world.clock.advance(QUOTA_LIMITS.keyHeldMs + 100)
    while (admitted <= bound() && world.admits(1, 'k', 10)) admitted += 10
  }
  t.ok(admitted <= bound() && admitted >= bound() * 0.9, `${admitted} admitted of ${bound()}`)
})

t.test('what cannot be is refused before anything is taken', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.set('plain', { bandwidths: PER_KEY.bandwidths })
  const refusal = (quota: string, key: string | null, cost = 1) => {
    const { outcome } = world.take(1, [[quota, key, cost]])
    return [outcome?.code, outcome?.fields[0]]
  }
  t.match(refusal('q', null), [ERRORS.INVALID_ARGUMENT.wire, /a bucket for each key: say which/])
  t.match(refusal('plain', 'k'), [ERRORS.INVALID_ARGUMENT.wire, /takes no key/])
  t.match(refusal('q', 'k', 101), [ERRORS.INVALID_ARGUMENT.wire, /can never be admitted: q admits 100 at once/])
  t.match(refusal('x', 'k'), [ERRORS.QUOTA_NOT_FOUND.wire, /no quota x/])
})

t.test('a key with a quota of its own is drawn from that', async (t) => {
  const world = new KeyWorld()
  world.set('gold', { bandwidths: [{ tokens: 500, perMs: 1_000 }] })
  world.set('q', { ...PER_KEY, keys: [['vip', 'gold']] })
  const before = world.draws
  world.take(1, [['q', 'vip', 400]])
  world.clock.advance(20)
  t.equal(world.draws, before + 1)
  const { outcome } = world.take(1, [['q', 'vip', 501]])
  t.match([outcome?.code, outcome?.fields[0]], [ERRORS.INVALID_ARGUMENT.wire, /never be admitted: gold admits 500/])
  t.match(world.take(1, [['q', 'vip']], { mode: TAKE.peek }).outcome?.fields[4], 'exact')
  t.match(world.take(1, [['q', 'plebs', 400]]).outcome?.code, ERRORS.INVALID_ARGUMENT.wire)
})

t.test('who asks for most is known to every member, a second later', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  world.set('r')
  const streams = [...spread('big', 300), { key: 'mid', at: 2, perS: 100 }, { key: 'small', at: 1, perS: 10 }]
  play(world, streams, 60_000)
  for (const desk of world.desks) {
    const { keys, totalPerS } = desk.top({ name: 'q', limit: 2 })
    t.match(
      keys.map(({ key }) => key),
      ['big', 'mid'],
    )
    const [big, mid] = keys
    t.ok(Math.abs(big!.ratePerS - 300) < 20 && Math.abs(mid!.ratePerS - 100) < 8, `${big!.ratePerS}, ${mid!.ratePerS}`)
    t.ok(Math.abs(totalPerS - 410) < 25, `${totalPerS}`)
    t.match(desk.top({ name: 'r', limit: 2 }), { keys: [], totalPerS: 0 })
  }
  t.throws(() => world.desks[0]!.top({ name: 'x', limit: 1 }), { code: 'QUOTA_NOT_FOUND' })
  world.set('plain', { bandwidths: PER_KEY.bandwidths })
  t.throws(() => world.desks[0]!.top({ name: 'plain', limit: 1 }), { code: 'INVALID_ARGUMENT' })
})

t.test('a changed limit holds from then on, and a deleted quota is forgotten', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  const streams = spread('hot', 900)
  play(world, streams, 5_000)
  world.set('q', { ...PER_KEY, bandwidths: [{ tokens: 10, perMs: 1_000, burst: 10 }] })
  const { admitted } = play(world, streams, 10_000).get('hot')!
  t.ok(admitted <= 110 * 1.03 + 10 / 2 && admitted >= 95, `${admitted} admitted`)
  world.quotas.delete('q')
  t.match(world.take(1, [['q', 'hot']]).outcome, { code: ERRORS.QUOTA_NOT_FOUND.wire })
  world.clock.advance(QUOTA_LIMITS.exchangedMs + 2 * QUOTA_LIMITS.exchangeMs)
  world.set('q')
  t.same(world.desks[1]!.top({ name: 'q', limit: 5 }), { keys: [], totalPerS: 0 })
})

t.test('many heavy keys at once: who finds no room is told to come back, and nothing is lost', async (t) => {
  const world = new KeyWorld()
  world.set('q')
  let answered = 0
  const codes = new Map<number, number>()
  const asks = QUOTA_LIMITS.waitingMax + 500
  for (let n = 0; n < asks; n++) {
    world.take(1, [['q', `k${n}`, 40]], {
      done: ({ code }) => {
        answered++
        codes.set(code, (codes.get(code) ?? 0) + 1)
      },
    })
  }
  t.equal(codes.get(ERRORS.OVERLOADED.wire), 500)
  world.clock.advance(2_000)
  t.equal(answered, asks)
  t.equal(codes.get(OK), QUOTA_LIMITS.waitingMax)
})

t.test('nothing goes on where nobody asks by key, and nothing after the end', async (t) => {
  const world = new KeyWorld()
  t.equal(world.clock.timers, 0)
  world.set('q')
  t.ok(world.admits(1, 'k', 60))
  t.ok(world.clock.timers > 0)
  world.clock.advance(QUOTA_LIMITS.exchangeIdleMs + 20_000)
  t.equal(world.clock.timers, 0)
  t.ok(world.admits(1, 'k', 60))
  for (const desk of world.desks) await desk.close(world.nowMs)
  t.equal(world.clock.timers, 0)
})
