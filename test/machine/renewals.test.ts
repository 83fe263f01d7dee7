import { OK } from '@leasehold/protocol'
import type { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { Disk } from './disk.js'
import { acquire, codeOf, Driver, release, reloaded, renew, request, revoke } from './driver.js'

const LEASES = 12
const LIMITS = { renewalsPerRow: 4 }
const TTL_MS = 3_600_000

const names = Array.from({ length: LEASES }, (_, at) => `n${at}`)
const renewals = (machine: Machine) => machine.tables.find(({ name }) => name === 'renewals')!

/** Twelve leases with the tokens 1 to 12, written down. */
function setUp(): { d: Driver; disk: Disk } {
  const d = new Driver(LIMITS)
  d.at(10_000, ...names.map((name) => acquire(name, 'h', { ttlMs: TTL_MS })))
  const disk = new Disk()
  disk.checkpoint(d.machine)
  return { d, disk }
}

/** The fields of all rows of renewals that a machine would write now. */
const written = (machine: Machine) =>
  renewals(machine)
    .takeChanges()
    .filter(({ removed }) => !removed)

t.test('a renewal writes its token, end and count, and not its lease', async (t) => {
  const { d } = setUp()
  d.at(10_100, renew('n0', 1), renew('n1', 2))
  d.at(10_200, renew('n0', 1))
  t.equal(d.machine.tables.find(({ name }) => name === 'leases')!.changeCount, 0)
  const [row, ...more] = written(d.machine)
  t.same(more, [])
  t.same(renewals(d.machine).encode(row!.row), [1, 10_200 + TTL_MS, 2, 2, 10_100 + TTL_MS, 1])
})

t.test('renewed over and over, leases leave no rows behind, and the emptied ones are never written', async (t) => {
  const { d, disk } = setUp()
  for (let round = 1; round <= 50; round++) d.at(10_000 + round, ...names.map((name, at) => renew(name, at + 1)))
  t.ok(renewals(d.machine).size <= LEASES / LIMITS.renewalsPerRow + 1, `${renewals(d.machine).size} rows`)
  t.ok(renewals(d.machine).changeCount <= LEASES / LIMITS.renewalsPerRow + 1)
  disk.checkpoint(d.machine)
  const after = disk.load(LIMITS)
  for (const name of names) t.same(after.lease(name), d.machine.lease(name))
})

t.test('renewed again in a row that is on disk already, a lease comes back with its last end', async (t) => {
  const { d, disk } = setUp()
  for (let round = 1; round <= 3; round++) {
    d.at(10_000 + round, renew('n0', 1))
    disk.checkpoint(d.machine)
    t.equal(renewals(d.machine).size, 1, 'in the same row')
    t.match(disk.load(LIMITS).lease('n0'), d.machine.lease('n0'), `after ${round} renewals`)
  }
})

t.test('rows that are mostly waste are cleaned up, whoever is renewed', async (t) => {
  const limits = { renewalsPerRow: 16 }
  const d = new Driver(limits)
  const disk = new Disk()
  const all = Array.from({ length: 400 }, (_, at) => at)
  const renewed = (at: number) => renew(`n${at}`, at + 1)
  d.at(10_000, ...all.map((at) => acquire(`n${at}`, 'h', { ttlMs: TTL_MS })))
  d.at(10_000, ...all.map(renewed))
  let most = 0
  // a tenth of them never again, the others at random: left alone, that would spread over some eighty rows
  let seed = 1
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed
  }
  for (let round = 1; round <= 500; round++) {
    const some = Array.from({ length: 10 }, () => random() % 360)
    d.at(10_000 + round, ...some.map(renewed))
    if (round % 7 === 0) disk.checkpoint(d.machine)
    most = Math.max(most, renewals(d.machine).size)
  }
  const full = all.length / limits.renewalsPerRow
  t.ok(most > 2 * full && most <= 2.5 * full + 8, `${most} rows`)
  disk.checkpoint(d.machine)
  const after = disk.load(limits)
  for (const at of all) t.same(after.lease(`n${at}`), d.machine.lease(`n${at}`))
})

t.test('what a row of renewals says of an ended grant gives nobody its end back', async (t) => {
  const { d, disk } = setUp()
  d.at(10_001, acquire('delayed', 'h', { ttlMs: 50_000, lockDelayMs: 1_000 }))
  d.at(10_100, renew('n0', 1), renew('n1', 2), renew('delayed', 13))
  disk.checkpoint(d.machine)
  d.at(10_200, release('n0', 1), revoke('n1'), revoke('delayed'), acquire('n1', 'h2', { ttlMs: 1_000 }))
  disk.checkpoint(d.machine)
  for (const after of [disk.load(LIMITS), reloaded(d.machine, LIMITS)]) {
    t.equal(after.lease('n0'), null)
    t.same(after.lease('n1'), d.machine.lease('n1'))
    t.equal(renewals(after).size, 1, 'the newest row stays, so that the numbers go on')
  }
  d.machine = disk.load(LIMITS)
  t.equal(
    d.ask(11_202, acquire('delayed', 'h3')).code,
    OK,
    'the delay ended when it should, not with the renewed grant',
  )
  t.equal(d.machine.lease('n1'), null, 'and so did the new grant')
})

t.test('a claim is written with its lease, and comes back as a grant', async (t) => {
  const { d, disk } = setUp()
  d.at(10_100, acquire('n0', 'h2', { waitMs: 60_000, ttlMs: 30_000, request: request(1, 10_000) }))
  d.at(10_200, release('n0', 1))
  disk.checkpoint(d.machine)
  t.equal(d.ask(10_300, renew('n0', 13)).code, OK)
  disk.checkpoint(d.machine)
  d.machine = disk.load(LIMITS)
  t.equal(d.ask(20_000, acquire('n0', 'h3')).code, codeOf('LEASE_HELD'), 'long after the offer would have lapsed')
})

t.test('a grant whose name stands in one row twice keeps its end through two starts', async (t) => {
  const { d, disk } = setUp()
  d.at(10_100, renew('n0', 1))
  d.at(10_110, acquire('n0', 'h2', { ttlMs: TTL_MS, waitMs: 1_000 }), release('n0', 1))
  d.at(10_120, renew('n0', LEASES + 1))
  disk.checkpoint(d.machine)
  d.at(50_000, renew('n0', LEASES + 1))
  d.at(50_010, renew('n1', 2), renew('n2', 3), renew('n3', 4))
  const view = d.machine.lease('n0')
  for (const start of ['first', 'second']) {
    disk.checkpoint(d.machine)
    d.machine = disk.load(LIMITS)
    t.same(d.machine.lease('n0'), view, `the ${start} start`)
  }
})
