import { auditSeq, INTERNAL_OP, QUEUED } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { Disk } from './disk.js'
import { acquire, beat, Driver, release, request, stored } from './driver.js'

const table = (machine: Machine, name: string) => machine.tables.find((one) => one.name === name)!

t.test('an empty machine has no rows and nothing to write', async (t) => {
  const machine = new Machine()
  t.same(stored(machine), [])
  t.ok(machine.tables.every((one) => one.changeCount === 0 && one.size === 0))
  t.same([machine.timed, machine.leaseCount, machine.waiterCount], [false, 0, 0])
  t.same(machine.audit, { first: 1, last: 0 })
})

t.test('what comes and goes between two checkpoints is never written', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h', { request: request(1) }), release('a', 1))
  t.equal(table(d.machine, 'leases').changeCount, 0)
  t.same(table(d.machine, 'leases').takeChanges(), [])
})

t.test('a row that was written and removed is handed over once, as removed', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h'), acquire('b', 'h'), acquire('c', 'h'))
  const leases = table(d.machine, 'leases')
  for (const { row } of leases.takeChanges()) row.saved = 7
  d.at(10_001, release('b', 2), beat)
  t.equal(leases.changeCount, 1)
  t.match(leases.takeChanges(), [{ key: 'b', removed: true, row: { saved: 7 } }])
  t.same(leases.takeChanges(), [])
})

t.test('a row in the place of a removed one knows what is on disk under its key', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h'), acquire('b', 'h'))
  const leases = table(d.machine, 'leases')
  for (const { row } of leases.takeChanges()) row.saved = 7
  d.at(10_001, release('a', 1), release('b', 2))
  d.at(10_002, acquire('c', 'h'), acquire('a', 'h2'))
  const changes = leases.takeChanges().map(({ key, removed, row }) => [key, removed, row.saved])
  t.same(changes.sort(), [
    ['a', false, 7],
    ['b', true, 7],
    ['c', false, 0],
  ])
})

t.test('a stored row of an unknown shape is refused, never guessed', async (t) => {
  const good: Record<string, [string, unknown[]]> = {
    meta: ['meta', [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, -1]],
    leases: ['a', [1, 1, 'h', 'p', null, 1_000, 1_000, 0, 0]],
    renewals: ['0', [1, 1_500, 1, 2, 1_600, 1]],
    waiters: ['1', ['a', 'h', 'p', null, 1_000, 0, 0, 5, 'n1', -1, 5]],
    endings: ['0', [1, 'a', 0, null, 5]],
    marks: ['p s:1', ['p', 's:1', 5, 5, 1]],
    records: ['p s:1 #1', ['p', 's:1', 1, 5, 2, 1, null, null, 1, 5]],
    members: ['n1', [3, 'nonce', 7, 'http://n1:7420', 'n1:7421']],
    configuration: ['configuration', ['n1@d', 'n1:7421', 1, 'n2@d', 'n2:7421', 4]],
    quotas: [
      'q',
      [1, 5, 0, 0, 1, 5, 0, 1, 1, 9, 5, 5, 0, null, 1, 0, true, null, false, false, 'deny', 1, 1, 10, 5, 0],
    ],
    tabs: ['1/q', ['q', 'n1', 1, 1, 1, 5, 0, 0, 9]],
    drawers: ['n1', [1, 5]],
  }
  for (const [name, [key, fields]] of Object.entries(good)) {
    table(new Machine(), name).load(key, fields, 1)
    for (const bad of [
      fields.slice(0, -1),
      [...fields, 1],
      fields.with(0, true),
      fields.with(-1, 1.5),
      fields.with(Math.min(4, fields.length - 1), {}),
    ]) {
      t.throws(
        () => table(new Machine(), name).load(key, bad, 1),
        new RegExp(`${name}/`),
        `${name} ${JSON.stringify(bad)}`,
      )
    }
  }
  t.throws(() => table(new Machine(), 'endings').load('0', [1, 'a', 9, null, 5], 1), /a reason/)
})

t.test('the audit is trimmed forwards only, and never beyond its end', async (t) => {
  const d = new Driver()
  const trim = (through: number) => ({ op: INTERNAL_OP.trimAudit, through: auditSeq(through) })
  d.at(10_000, acquire('a', 'h'), acquire('b', 'h'), acquire('c', 'h'), trim(2))
  t.same(d.machine.audit, { first: 3, last: 3 })
  d.at(10_001, trim(1))
  t.same(d.machine.audit, { first: 3, last: 3 })
  d.at(10_001, trim(99))
  d.reload()
  t.same(d.machine.audit, { first: 4, last: 3 })
  t.equal(d.at(10_002, acquire('d', 'h')).events[0]!.seq, 4)
})

t.test('an event carries the stamp of its entry, for people and for readers', async (t) => {
  const d = new Driver()
  d.term = 4
  d.member = 'n7'
  t.same(d.at(12_000, acquire('a', 'h', { principal: 'p' })).events, [
    {
      seq: 1,
      type: 'granted',
      name: 'a',
      holder: 'h',
      token: 1,
      reason: null,
      cause: 'acquire',
      principal: 'p',
      wallMs: 1_700_000_012_000,
      clusterMs: 12_000,
      member: 'n7',
      term: 4,
      renewals: 0,
      vacant: false,
    },
  ])
})

t.test('all that a machine remembers is on disk after a checkpoint, and comes back', async (t) => {
  const d = new Driver()
  const disk = new Disk()
  const ask = (name: string, key: number | string, lowest = 0) =>
    acquire(name, 'h', { request: request(key, 10_000, lowest), waitMs: 500 })
  d.at(10_000, ask('a', 1, 1), ask('a', 'k'), ask('b', 2, 2), release('b', 2))
  disk.checkpoint(d.machine)
  d.at(10_001, ask('c', 3, 3))
  disk.checkpoint(d.machine)
  t.same(stored(disk.load({})), stored(d.machine))
  t.same(
    d.machine.tables.map(({ name, size }) => [name, size]),
    [
      ['meta', 1],
      ['leases', 2],
      ['renewals', 0],
      ['waiters', 1],
      ['endings', 1],
      ['marks', 1],
      ['records', 2],
      ['members', 0],
      ['configuration', 0],
      ['quotas', 0],
      ['tabs', 0],
      ['drawers', 0],
    ],
  )
  d.machine = disk.load({})
  t.equal(d.ask(10_002, ask('a', 'k')).code, QUEUED)
})

t.test('a checkpoint that loses a changed row is caught', async (t) => {
  const d = new Driver()
  const disk = new Disk()
  d.at(10_000, acquire('a', 'h'))
  table(d.machine, 'leases').takeChanges()
  t.throws(() => disk.checkpoint(d.machine), /broken/)
})
