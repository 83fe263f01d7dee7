import { OK } from '@leasehold/protocol'
import t from 'tap'
import { acquire, beat, codeOf, Driver, release, renew } from './driver.js'

t.test('a free name is granted, and each grant has a newer token', async (t) => {
  const d = new Driver()
  t.same(d.ask(10_000, acquire('a', 'h1')), { code: OK, fields: [1, 1_000, 1_000, false, 'h1'] })
  t.same(d.ask(10_001, acquire('b', 'h1')), { code: OK, fields: [2, 1_000, 1_000, false, 'h1'] })
  t.same(d.ask(10_002, release('a', 1)), { code: OK, fields: [false] })
  t.same(d.ask(10_003, acquire('a', 'h2')), { code: OK, fields: [3, 1_000, 1_000, false, 'h2'] })
})

t.test('a held name says by whom and for how long, to its own holder name, too', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1', { meta: 'here' }))
  t.same(d.ask(10_400, acquire('a', 'h1')), { code: codeOf('LEASE_HELD'), fields: ['h1', 600, 'here', false] })
})

t.test('a renewal counts from its own stamp', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'))
  t.same(d.ask(10_999, renew('a', 1)), { code: OK, fields: [1, 1_000, 1_000, false, 'h1'] })
  t.equal(d.machine.lease('a')![4], 1_000)
  d.at(11_998, beat)
  t.equal(d.machine.lease('a')![4], 1)
  d.at(11_999, beat)
  t.equal(d.machine.lease('a'), null)
})

t.test('the state after a reload is the state before', async (t) => {
  const d = new Driver()
  d.at(10_000, acquire('a', 'h1'), acquire('b', 'h2', { ttlMs: 60_000 }))
  d.reload()
  t.same(d.ask(10_500, acquire('c', 'h3')).fields[0], 3, 'tokens go on')
  t.same(d.ask(11_000, renew('a', 1)), { code: codeOf('LEASE_LOST'), fields: [1, 'expired'] })
  t.same(d.ask(11_001, renew('b', 2)).code, OK)
})
