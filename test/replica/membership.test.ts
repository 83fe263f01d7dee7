import { type Configuration, checkConfiguration, type PeerId, ProtocolError, peersOf } from '@leasehold/protocol'
import {
  BEHIND_MAX,
  changed,
  left,
  type MembershipChange,
  type PeerStanding,
  readdressed,
} from '@leasehold/server/replica'
import fc from 'fast-check'
import t, { type Test } from 'tap'

const of = (voters: PeerId[], learners: PeerId[] = [], outgoing: PeerId[] = []): Configuration => {
  const addresses = Object.fromEntries([...voters, ...learners, ...outgoing].map((peer) => [peer, `${peer}:7421`]))
  return checkConfiguration({ voters, learners, outgoing, addresses })
}
const three = of(['n1@a', 'n2@b', 'n3@c'])
const all = (c: Configuration, but: PeerId[] = []): PeerStanding[] =>
  peersOf(c).map((peer) => ({ peer, active: !but.includes(peer), behind: 0 }))
const lists = ({ voters, outgoing, learners }: Configuration) => ({ voters, outgoing, learners })

function refused(t: Test, act: () => unknown, code: string, sentence: RegExp): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    t.equal(error.code, code)
    t.match(error.message, sentence)
    return
  }
  t.fail(`not refused: ${sentence}`)
}

t.test('a new member learns first, then votes through both majorities', async (t) => {
  const learning = changed(three, { kind: 'add', peer: 'n4@d', address: 'n4:7421' }, all(three))
  t.same(lists(learning), { voters: three.voters, outgoing: [], learners: ['n4@d'] })
  t.equal(learning.addresses['n4@d'], 'n4:7421')
  const joint = changed(learning, { kind: 'promote', member: 'n4' }, all(learning))
  t.same(lists(joint), { voters: ['n1@a', 'n2@b', 'n3@c', 'n4@d'], outgoing: three.voters, learners: [] })
  const after = left(joint)!
  t.same(lists(after), { voters: joint.voters, outgoing: [], learners: [] })
  t.equal(left(after), null)
})

t.test('a wiped member takes the place of its old directory in one change', async (t) => {
  const learning = changed(three, { kind: 'add', peer: 'n3@z', address: 'n3@c:7421' }, all(three, ['n3@c']))
  refused(
    t,
    () => changed(learning, { kind: 'promote', member: 'n3' }, all(learning)),
    'MEMBERSHIP_CONFLICT',
    /n3@c or n3@z: say which/,
  )
  const joint = changed(learning, { kind: 'promote', member: 'n3@z' }, all(learning, ['n3@c']))
  t.same(lists(joint), { voters: ['n1@a', 'n2@b', 'n3@z'], outgoing: ['n1@a', 'n2@b', 'n3@c'], learners: [] })
  t.same(Object.keys(left(joint)!.addresses).sort(), ['n1@a', 'n2@b', 'n3@z'], 'the old one is known no more')
})

t.test('a voter goes through both majorities, a learner at once', async (t) => {
  const joint = changed(three, { kind: 'remove', member: 'n2' }, all(three))
  t.same(lists(joint), { voters: ['n1@a', 'n3@c'], outgoing: three.voters, learners: [] })
  t.ok(joint.addresses['n2@b'], 'it is reached until it is over')
  t.same(Object.keys(left(joint)!.addresses), ['n1@a', 'n3@c'])
  const learning = of(['n1@a'], ['n2@b'])
  t.same(lists(changed(learning, { kind: 'remove', member: 'n2@b' }, all(learning))), lists(of(['n1@a'])))
})

t.test('what is done already is no change', async (t) => {
  t.equal(changed(three, { kind: 'promote', member: 'n2' }, all(three)), three)
  t.equal(changed(three, { kind: 'add', peer: 'n2@b', address: 'n2@b:7421' }, all(three)), three)
})

t.test('what could leave the cluster without a majority, or does not fit, is refused', async (t) => {
  const learning = of(['n1@a', 'n2@b', 'n3@c'], ['n4@d'])
  const far = [...all(learning, ['n4@d'])].map((one) =>
    one.peer === 'n4@d' ? { ...one, active: true, behind: BEHIND_MAX + 1 } : one,
  )
  const joint = of(['n1@a', 'n2@b'], [], ['n1@a', 'n2@b', 'n3@c'])
  const cases: [Configuration, MembershipChange, PeerStanding[], RegExp][] = [
    [
      three,
      { kind: 'remove', member: 'n1' },
      all(three, ['n2@b']),
      /these do not answer: n2@b; no majority would be left/,
    ],
    [three, { kind: 'remove', member: 'n2' }, all(three, ['n2@b', 'n3@c']), /no majority would be left/],
    [of(['n1@a']), { kind: 'remove', member: 'n1' }, all(of(['n1@a'])), /n1@a is the last voter/],
    [learning, { kind: 'promote', member: 'n4' }, all(learning, ['n4@d']), /n4@d does not answer/],
    [learning, { kind: 'promote', member: 'n4' }, [], /n4@d does not answer/],
    [learning, { kind: 'promote', member: 'n4' }, far, /n4@d lacks 10001 entries yet/],
    [joint, { kind: 'remove', member: 'n3' }, all(joint), /another change of the voters is under way/],
    [three, { kind: 'add', peer: 'n2@b', address: 'x:1' }, all(three), /n2@b is a member already, at n2@b:7421/],
    [learning, { kind: 'add', peer: 'n4@e', address: 'x:1' }, all(learning), /n4 learns already, as n4@d/],
    [three, { kind: 'add', peer: 'n9@e', address: 'n2@b:7421' }, all(three), /is the address of n2@b/],
    [three, { kind: 'add', peer: 'n9', address: 'x:1' }, all(three), /MEMBER@DIRECTORY/],
  ]
  for (const [c, change, standings, sentence] of cases) {
    refused(t, () => changed(c, change, standings), 'MEMBERSHIP_CONFLICT', sentence)
  }
  refused(t, () => changed(three, { kind: 'remove', member: 'n9' }, all(three)), 'MEMBER_NOT_FOUND', /no member n9/)
})

t.test('a dead voter can be removed while the rest is a majority before and after', async (t) => {
  const joint = changed(three, { kind: 'remove', member: 'n3' }, all(three, ['n3@c']))
  t.same(joint.voters, ['n1@a', 'n2@b'])
})

t.test('a member that moved is known at its new address, once it says so', async (t) => {
  const moved = readdressed(three, [
    { id: 'n1', peerUrl: 'n1@a:7421' },
    { id: 'n2', peerUrl: 'elsewhere:1' },
    { id: 'n3', peerUrl: '' },
    { id: 'n9', peerUrl: 'nowhere:1' },
  ])
  t.same(moved?.addresses, { ...three.addresses, 'n2@b': 'elsewhere:1' })
  t.equal(readdressed(three, [{ id: 'n1', peerUrl: 'n1@a:7421' }]), null)
  t.equal(
    readdressed(of(['n1@a'], ['n1@b']), [{ id: 'n1', peerUrl: 'x:1' }]),
    null,
    'two directories: which one spoke?',
  )
})

t.test('whatever is asked for, neighbouring configurations share a majority', async (t) => {
  const act = fc.record({ kind: fc.constantFrom('add', 'promote', 'remove', 'left'), at: fc.nat(5) })
  const majorities = ({ voters, outgoing }: Configuration) => [voters, outgoing].filter((list) => list.length > 0)
  const overlap = (a: readonly PeerId[], b: readonly PeerId[]) => {
    const majority = (list: readonly PeerId[]) => Math.floor(list.length / 2) + 1
    return majority(a) + majority(b) > new Set([...a, ...b]).size
  }
  fc.assert(
    fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
      let c = three
      for (const { kind, at } of acts) {
        const member = `n${at + 1}`
        let next: Configuration | null = null
        try {
          if (kind === 'left') next = left(c)
          else if (kind === 'add') next = changed(c, { kind, peer: `${member}@x`, address: `${member}x:1` }, all(c))
          else next = changed(c, { kind: kind as 'promote' | 'remove', member }, all(c))
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
        if (next === null) continue
        checkConfiguration(next)
        const safe = majorities(c).some((a) => majorities(next!).some((b) => overlap(a, b)))
        if (!safe) throw new Error(`${JSON.stringify(c)} then ${JSON.stringify(next)}`)
        c = next
      }
    }),
    { numRuns: 500 },
  )
  t.pass('500 histories')
})
