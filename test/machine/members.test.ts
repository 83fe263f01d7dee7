import { INTERNAL_OP, OK } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import t from 'tap'
import { Disk } from './disk.js'
import { acquire, admitRun, beat, codeOf, Driver, release, reloaded, request, stored } from './driver.js'

const LEASE = acquire('a', 'h')
const peer = (member: string, directory = 'd') => `${member}@${directory}`

/** A configuration of these voters and learners. */
const configure = (voters: string[], learners: string[] = [], outgoing: string[] = []) => ({
  op: INTERNAL_OP.configure,
  configuration: {
    voters,
    outgoing,
    learners,
    addresses: Object.fromEntries([...voters, ...learners, ...outgoing].map((one) => [one, `${one}:7421`])),
  },
})

/** n1 is admitted, as run 1. */
function admitted(): Driver {
  const d = new Driver()
  t.same(d.ask(10_000, admitRun('n1', 'first')), { code: OK, fields: [1] })
  d.run = 1
  return d
}

t.test('a batch that is sent again is executed once', async (t) => {
  const d = admitted()
  d.batch = 1
  t.match(d.at(10_001, LEASE), { executed: true, replies: [{ code: OK }] })
  const again = d.at(10_002, LEASE, release('a', 1))
  t.match(again, { executed: false, replies: [], events: [] })
  t.equal(d.machine.lease('a')?.[2], 1, 'the lease is still there')
  t.equal(d.machine.timeMs, 10_002, 'time moved on all the same')
  d.batch = 2
  t.ok(d.at(10_003, release('a', 1)).executed)
})

t.test('a batch that comes after a later one is not executed, and a gap is no harm', async (t) => {
  const d = admitted()
  d.batch = 4
  t.ok(d.at(10_001, LEASE).executed)
  for (const batch of [1, 3, 4]) {
    d.batch = batch
    t.notOk(d.at(10_002, release('a', 1)).executed, `batch ${batch}`)
  }
  d.batch = 5
  t.ok(d.at(10_003, beat).executed)
})

t.test('a batch of a run that is over, or that never was, is not executed', async (t) => {
  const d = admitted()
  t.same(d.ask(10_001, admitRun('n1', 'second')).fields, [2])
  d.batch = 9
  for (const run of [0, 1, 3]) {
    d.run = run
    t.notOk(d.at(10_002, LEASE).executed, `run ${run}`)
  }
  d.run = 2
  d.member = 'n2'
  t.notOk(d.at(10_002, LEASE).executed, "another member's run")
  d.member = 'n1'
  d.batch = 1
  t.ok(d.at(10_003, LEASE).executed, 'batches of a new run count from 1')
})

t.test('an entry that is not executed sweeps what is due', async (t) => {
  const d = admitted()
  d.batch = 1
  d.at(10_001, LEASE)
  const { executed, events } = d.at(20_000, LEASE)
  t.notOk(executed)
  t.match(events, [{ type: 'expired', name: 'a' }])
})

t.test('an uncounted batch is always executed', async (t) => {
  const d = admitted()
  for (const run of [0, 1, 77]) {
    d.run = run
    d.batch = 0
    t.ok(d.at(10_001, beat).executed)
  }
})

t.test('a start that asks again gets the run that it has, and loses no waiter', async (t) => {
  const d = admitted()
  d.batch = 1
  d.at(10_001, LEASE, acquire('a', 'h2', { waitMs: 60_000, ttlMs: 60_000, request: request(1, 10_000) }))
  t.notOk(d.at(10_002, admitRun('n1', 'first')).executed, 'its batch was before')
  d.batch = 0
  t.same(d.ask(10_002, admitRun('n1', 'first')), { code: OK, fields: [1] })
  d.at(10_900, acquire('z', 'z'))
  d.batch = 1
  t.notOk(d.at(10_900, beat).executed, 'its last batch is still known')
  d.batch = 0
  t.equal(d.at(11_100, beat).settled.length, 1, 'the waiter is offered')
})

t.test('members are known by their last start, through a reload', async (t) => {
  const d = admitted()
  d.at(10_001, admitRun('n3'), admitRun('n2', 'x'), admitRun('n1', 'second'))
  d.run = 4
  d.batch = 7
  d.at(10_002, beat)
  const wanted = [
    { id: 'n1', run: 4, nonce: 'second', batch: 7, url: 'http://n1:7420', peerUrl: 'n1:7421' },
    { id: 'n2', run: 3, nonce: 'x', batch: 0 },
    { id: 'n3', run: 2 },
  ]
  t.match(d.machine.members, wanted)
  const before = stored(d.machine)
  d.reload()
  t.same(stored(d.machine), before)
  t.match(d.machine.members, wanted)
  t.notOk(d.at(10_003, beat).executed, 'a batch that was applied before the reload')
})

t.test('the last batch is known through a reload, also where nothing else of its member changed', async (t) => {
  const d = admitted()
  const disk = new Disk()
  for (const batch of [1, 2]) {
    d.batch = batch
    t.ok(d.at(10_000 + batch, beat).executed)
    disk.checkpoint(d.machine)
    d.machine = disk.load({})
    t.notOk(d.at(10_000 + batch, beat).executed, `batch ${batch} is not executed again`)
  }
})

t.test('members beyond the bound are refused, and those that are known are not', async (t) => {
  const d = new Driver({ membersMax: 2 })
  t.same([d.ask(10_000, admitRun('n1')).fields, d.ask(10_000, admitRun('n2')).fields], [[1], [2]])
  t.equal(d.ask(10_001, admitRun('n3')).code, codeOf('LIMIT_REACHED'))
  t.same(d.ask(10_002, admitRun('n2')).fields, [3])
})

t.test('the configuration is what was last configured, through a reload; before any there is none', async (t) => {
  const d = new Driver()
  t.equal(d.machine.configuration, null)
  const first = configure([peer('n1'), peer('n2'), peer('n3')])
  t.same(d.ask(10_000, first), { code: OK, fields: [] })
  t.same(d.machine.configuration, first.configuration)
  const second = configure([peer('n1'), peer('n2')], [peer('n3', 'e')], [peer('n1'), peer('n2'), peer('n3')])
  d.at(10_001, second)
  d.reload()
  t.same(d.machine.configuration, second.configuration)
})

t.test('a configuration that is not well formed changes nothing', async (t) => {
  const d = new Driver()
  d.at(10_000, configure([peer('n1')]))
  const before = d.machine.configuration
  const { code, fields } = d.ask(10_001, configure([]))
  t.same([code, fields[0]], [codeOf('INVALID_ARGUMENT'), 'voters must not be empty'])
  t.same(d.machine.configuration, before)
})

t.test('who is in no list any more is forgotten, with its waiters; who changes its role is not', async (t) => {
  const d = admitted()
  d.at(10_000, admitRun('n2'), admitRun('n3'), acquire('a', 'h', { ttlMs: 60_000 }))
  d.member = 'n2'
  d.run = 2
  d.batch = 1
  d.at(10_001, acquire('a', 'w', { waitMs: 60_000 }))
  d.batch = 2
  d.run = 2
  d.at(10_002, configure([peer('n1'), peer('n3')], [], [peer('n1'), peer('n2'), peer('n3')]))
  t.equal(d.machine.members.length, 3, 'while it is outgoing it counts')
  d.batch = 3
  d.at(10_003, configure([peer('n1')], [peer('n3', 'e')]))
  t.same(
    d.machine.members.map(({ id }) => id),
    ['n1', 'n3'],
  )
  d.batch = 4
  t.notOk(d.at(10_004, beat).executed)
  d.batch = 0
  t.equal(d.at(15_100, beat).settled.length, 1, 'its waiter is lost')
  t.same(d.ask(15_200, admitRun('n2')).fields, [4], 'it may come back, as another run')
})

const three = () => configure([peer('n1'), peer('n2'), peer('n3')])
const knows = (member: string, formatMax: number) => admitRun(member, undefined, formatMax)

/** A machine that knows formats up to 3, of three members of which n1 and n2 know them, too. */
function twoOfThree(): Driver {
  const d = new Driver()
  d.machine = new Machine({}, 3)
  d.at(10_000, three())
  d.at(10_001, knows('n1', 3), knows('n2', 3))
  return d
}

t.test('a format comes into use with the entry by which the last member says that it knows it', async (t) => {
  const d = twoOfThree()
  t.equal(d.machine.format, 1, 'of n3 nobody knows')
  d.at(10_002, knows('n3', 1))
  t.equal(d.machine.format, 1)
  d.at(10_003, knows('n3', 2))
  t.equal(d.machine.format, 2, 'what all know')
  d.at(10_004, knows('n3', 3))
  t.equal(d.machine.format, 3)
})

t.test('a format that is in use stays so, whoever comes', async (t) => {
  const d = twoOfThree()
  d.at(10_002, knows('n3', 3))
  d.at(10_003, knows('n1', 1), three())
  t.equal(d.machine.format, 3)
})

t.test('who goes back holds a format back', async (t) => {
  const d = twoOfThree()
  d.at(10_002, knows('n1', 1))
  d.at(10_003, knows('n3', 3))
  t.equal(d.machine.format, 1)
  d.at(10_004, knows('n1', 2))
  t.equal(d.machine.format, 2)
})

t.test('learners and those on their way out count, and who is removed holds nothing back', async (t) => {
  const d = twoOfThree()
  d.at(10_002, knows('n3', 1))
  const voters = [peer('n1'), peer('n2')]
  d.at(10_003, configure(voters, [], [...voters, peer('n3')]))
  t.equal(d.machine.format, 1)
  d.at(10_004, configure(voters, [peer('n3')]))
  t.equal(d.machine.format, 1)
  d.at(10_005, configure(voters))
  t.equal(d.machine.format, 3)
})

t.test('a machine that is too old for a format ends where it comes into use, and loads nothing of it', async (t) => {
  const d = new Driver()
  d.at(10_000, three())
  d.at(10_001, knows('n1', 3), knows('n2', 3))
  t.throws(() => d.at(10_002, knows('n3', 3)), /the cluster uses format 3, and this version .* knows formats up to 2/)
  const next = twoOfThree()
  next.at(10_002, knows('n3', 3))
  t.throws(() => reloaded(next.machine), /uses format 3/)
})

t.test('the first format leaves rows as they always were; of a later one all is known through a reload', async (t) => {
  const d = new Driver()
  d.at(10_000, configure([peer('n1')]), knows('n1', 1))
  const rows = new Map(stored(d.machine).map(([table, , fields]) => [table, fields.length]))
  t.same([rows.get('meta'), rows.get('members')], [11, 5])
  const next = twoOfThree()
  next.at(10_002, knows('n3', 2))
  const again = reloaded(next.machine, {}, 3)
  t.equal(again.format, 2)
  t.same(
    again.members.map(({ formatMax }) => formatMax),
    [3, 3, 2],
  )
})
