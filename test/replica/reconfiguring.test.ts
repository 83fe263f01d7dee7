import {
  type Command,
  type Configuration,
  checkConfiguration,
  INTERNAL_OP,
  logIndex,
  type PeerId,
  term,
} from '@leasehold/protocol'
import type { LogStatus } from '@leasehold/server/replica'
import { REPLICA_LIMITS, Reconfiguring } from '@leasehold/server/replica'
import t from 'tap'

const of = (voters: PeerId[], learners: PeerId[] = [], outgoing: PeerId[] = []): Configuration => {
  const addresses = Object.fromEntries([...voters, ...learners, ...outgoing].map((peer) => [peer, `${peer}:7421`]))
  return checkConfiguration({ voters, learners, outgoing, addresses })
}

/** A leader's log and machine, as far as a change sees them. */
class Leader {
  leading = true
  mayReconfigure = true
  configuration: Configuration | null = of(['n1@a', 'n2@b', 'n3@c'])
  members: { id: string; peerUrl: string }[] = []
  nowMs = 0
  readonly orders: Configuration[] = []
  readonly changes = new Reconfiguring({
    log: this as never,
    machine: this as never,
    nowMs: () => this.nowMs,
    order: (command: Command) => {
      if (command.op !== INTERNAL_OP.configure) throw new Error('an order of another kind')
      this.orders.push(command.configuration)
    },
  })

  get status(): LogStatus {
    const peers = Object.entries(this.configuration?.addresses ?? {}).map(([peer, address]) => {
      return { peer, address, voter: true, match: logIndex(10), active: true }
    })
    return {
      term: term(1),
      role: 'leader',
      leader: 'n1',
      commitIndex: logIndex(10),
      firstIndex: logIndex(1),
      lastIndex: logIndex(10),
      peers,
    }
  }

  /** The last order is committed and applied. */
  apply(): void {
    this.configuration = this.orders.at(-1)!
    this.changes.applied()
  }
}

t.test('a change of the voters is done once the joint configuration was left', async (t) => {
  const leader = new Leader()
  let done = false
  const change = leader.changes.change({ kind: 'remove', member: 'n3' }).then(() => {
    done = true
  })
  t.same(leader.orders[0]?.outgoing, ['n1@a', 'n2@b', 'n3@c'])
  leader.changes.tick()
  t.equal(leader.orders.length, 1, 'nothing more before it is applied')
  leader.apply()
  await Promise.resolve()
  t.notOk(done)
  leader.mayReconfigure = false
  leader.changes.tick()
  t.equal(leader.orders.length, 1, 'nor before the log may')
  leader.mayReconfigure = true
  leader.changes.tick()
  t.same(leader.orders[1], of(['n1@a', 'n2@b']))
  leader.apply()
  await change
  leader.changes.tick()
  t.equal(leader.orders.length, 2)
})

t.test('a change that is done already orders nothing', async (t) => {
  const leader = new Leader()
  await leader.changes.change({ kind: 'promote', member: 'n2' })
  t.same(leader.orders, [])
})

t.test('a new leader leaves the joint configuration that another one began', async (t) => {
  const leader = new Leader()
  leader.configuration = of(['n1@a', 'n2@b'], [], ['n1@a', 'n2@b', 'n3@c'])
  leader.changes.reign()
  leader.changes.tick()
  t.same(leader.orders, [of(['n1@a', 'n2@b'])])
})

t.test('one change at a time, and by leaders alone', async (t) => {
  const leader = new Leader()
  const add = { kind: 'add', peer: 'n4@d', address: 'n4:1' } as const
  leader.mayReconfigure = false
  await t.rejects(leader.changes.change(add), { code: 'MEMBERSHIP_CONFLICT' })
  leader.mayReconfigure = true
  const first = leader.changes.change(add)
  await t.rejects(leader.changes.change({ kind: 'remove', member: 'n3' }), { code: 'MEMBERSHIP_CONFLICT' })
  leader.apply()
  await first
  await t.rejects(leader.changes.change({ kind: 'remove', member: 'n9' }), { code: 'MEMBER_NOT_FOUND' })
  leader.leading = false
  await t.rejects(leader.changes.change(add), { code: 'NO_QUORUM' })
  leader.changes.tick()
  t.equal(leader.orders.length, 1)
})

t.test('who asked hears when the leader goes, when it takes long, and when the member ends', async (t) => {
  const ends: [(leader: Leader) => void, string][] = [
    [(leader) => leader.changes.reign(), 'OUTCOME_UNKNOWN'],
    [
      (leader) => {
        leader.nowMs = REPLICA_LIMITS.changeMsMax
        leader.changes.tick()
      },
      'OUTCOME_UNKNOWN',
    ],
    [(leader) => leader.changes.close(), 'SHUTTING_DOWN'],
  ]
  for (const [end, code] of ends) {
    const leader = new Leader()
    const change = leader.changes.change({ kind: 'remove', member: 'n3' })
    end(leader)
    await t.rejects(change, { code })
  }
})

t.test('a member that comes in at another address is known there', async (t) => {
  const leader = new Leader()
  leader.members = [{ id: 'n2', peerUrl: 'elsewhere:7421' }]
  leader.changes.tick()
  t.equal(leader.orders[0]?.addresses['n2@b'], 'elsewhere:7421')
  leader.changes.tick()
  t.equal(leader.orders.length, 1)
  leader.apply()
  leader.changes.tick()
  t.equal(leader.orders.length, 1)
})
