import { clusterMs, fencingToken, INTERNAL_OP, logIndex, OK, term } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { acquire, beat, codeOf, Driver, renew } from './driver.js'

t.test('the first entry of a term holds the horizon still for a second: holders can reconnect', async (t) => {
  const d = new Driver()
  d.at(20_000, acquire('a', 'h1'))
  d.term = 2
  d.at(20_900, beat)
  d.at(21_500, beat)
  t.same([d.machine.timeMs, d.machine.horizonMs], [21_500, 20_000])
  t.same(d.ask(21_800, acquire('a', 'h2')), { code: codeOf('LEASE_HELD'), fields: ['h1', 0, null, false] })
  t.same(d.ask(21_899, renew('a', 1)), { code: OK, fields: [1, 1_000, 1_000, false, 'h1'] })
  d.at(21_900, beat)
  t.equal(d.machine.horizonMs, 21_900, 'then it is the time again')
})

t.test('what was not renewed during the hold ends right after it', async (t) => {
  const d = new Driver()
  d.at(20_000, acquire('a', 'h1'))
  d.term = 2
  d.at(20_900, beat)
  t.same(d.at(21_899, beat).events, [])
  t.match(d.at(21_900, beat).events, [{ type: 'expired', name: 'a' }])
})

t.test('a hold comes at most every 10 s, however often the leader changes', async (t) => {
  const d = new Driver()
  const horizons: number[] = []
  for (let timeMs = 20_000; timeMs <= 32_000; timeMs += 500) {
    d.term++
    d.at(timeMs, beat)
    horizons.push(d.machine.horizonMs)
  }
  const held = horizons.map((horizonMs, i) => horizonMs !== 20_000 + 500 * i)
  t.same(
    held.map((one, i) => (one ? i : -1)).filter((i) => i >= 0),
    [0, 1, 20, 21],
  )
  t.same(
    [...horizons].sort((a, b) => a - b),
    horizons,
    'and it never goes back',
  )
})

t.test('a hold under way goes on when the term changes again', async (t) => {
  const d = new Driver()
  d.term = 2
  d.at(20_000, beat)
  d.term = 3
  d.at(20_400, beat)
  t.equal(d.machine.horizonMs, 10_000)
  d.at(21_000, beat)
  t.equal(d.machine.horizonMs, 21_000)
})

t.test('offers and delays stand still with the horizon; waits go on with time', async (t) => {
  const d = new Driver()
  d.at(20_000, acquire('a', 'h1'), acquire('a', 'h2', { waitMs: 60_000 }), acquire('a', 'h3', { waitMs: 1_500 }))
  d.at(21_000, beat)
  t.same(d.machine.lease('a')!.slice(1, 6), ['h2', 2, 1_000, 1_000, 'offered'])
  d.term = 2
  const { settled } = d.at(21_900, beat)
  t.same(settled, [{ waiter: 2, reply: { code: codeOf('LEASE_HELD'), fields: ['h2', 100, null, false] } }])
  t.same(d.machine.lease('a')!.slice(4, 6), [100, 'offered'])
  t.equal(d.ask(22_500, renew('a', 2)).code, OK, 'claimed after its window, before its end on the horizon')
})

t.test('an entry that cannot follow the last one is refused', async (t) => {
  const d = new Driver()
  d.term = 3
  d.at(20_000, beat)
  const next = d.entry(20_000, [beat])
  const machine = d.machine
  t.throws(() => machine.apply({ ...next, index: logIndex(1) }), /comes after/)
  t.throws(() => machine.apply({ ...next, term: term(2) }), /term 2 goes back/)
  t.throws(() => machine.apply({ ...next, timeMs: clusterMs(19_999) }), /time 19999 goes back/)
  t.ok(machine.apply(next))
})

t.test('a command that this version does not know throws', async (t) => {
  const d = new Driver()
  t.throws(() => d.at(20_000, { op: 99 } as unknown as typeof beat), /does not know: {"op":99}/)
})

t.test('tokens are raised, never lowered, and never overflow', async (t) => {
  const d = new Driver()
  const raise = (floor: number) => ({ op: INTERNAL_OP.raiseTokens, floor: fencingToken(floor) })
  d.at(20_000, raise(2 ** 40), raise(5))
  t.equal(d.ask(20_000, acquire('a', 'h')).fields[0], 2 ** 40)
  d.reload()
  t.equal(d.ask(20_000, acquire('b', 'h')).fields[0], 2 ** 40 + 1)
  d.at(20_000, raise(Number.MAX_SAFE_INTEGER))
  t.equal(d.ask(20_000, acquire('c', 'h')).fields[0], Number.MAX_SAFE_INTEGER)
  t.throws(() => d.at(20_000, acquire('d', 'h')), /used up/)
})

t.test('whoever goes on from a state knows its position', async (t) => {
  const d = new Driver()
  d.term = 2
  d.at(20_000, acquire('a', 'h'), acquire('b', 'h'))
  d.reload()
  t.same(d.machine.position, { index: 3, term: 2, token: 2 })
})

t.test('limits that disagree are refused', async (t) => {
  t.throws(() => new Machine({ endingsMax: 5, endingsPerRow: 2 }), /filled evenly/)
  t.throws(() => new Machine({ holdMs: 10_000 }), /moves between holds/)
})
