import {
  type Configuration,
  checkConfiguration,
  checkMemberId,
  checkPeerId,
  configurationFields,
  configurationOfFields,
  LIMITS,
  memberOf,
  peerIdOf,
  peersOf,
} from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { configurations, holds, memberIds, NOT_WHOLE, refused, same } from './support.js'

const three: Configuration = {
  voters: ['n1@a', 'n2@b', 'n3@c'],
  outgoing: [],
  learners: [],
  addresses: { 'n1@a': 'h1:7421', 'n2@b': 'h2:7421', 'n3@c': 'h3:7421' },
}

t.test("a peer's name gives its member back", async (t) => {
  holds(
    t,
    fc.property(memberIds, (member) => memberOf(checkPeerId(peerIdOf(member, '0a1b'))) === member),
  )
  t.equal(checkMemberId('eu/n1'), 'eu/n1')
})

t.test('what is no peer is refused', async (t) => {
  refused(t, () => checkMemberId('n1@d'), 'INVALID_ARGUMENT', /^member must not have an '@'$/)
  refused(t, () => checkMemberId('', 'name'), 'INVALID_ARGUMENT', /^name must not be empty$/)
  for (const peer of ['n1', '@d', 'n1@', 'n1@d@e', '@'])
    refused(t, () => checkPeerId(peer), 'INVALID_ARGUMENT', /^peer must be MEMBER@DIRECTORY, not "/)
  for (const peer of ['', 'n 1@d', 'n1@ü', `n1@${'d'.repeat(LIMITS.peerBytesMax)}`])
    refused(t, () => checkPeerId(peer), 'INVALID_ARGUMENT', /^peer must be 1 to 320 bytes of visible ASCII/)
  refused(t, () => checkPeerId('n/../1@d'), 'INVALID_ARGUMENT', /segment '\.' or '\.\.'/)
  for (const value of NOT_WHOLE.filter((one) => typeof one !== 'string'))
    refused(t, () => checkPeerId(value), 'INVALID_ARGUMENT', /^peer must be a string/)
})

t.test('a configuration comes back as it went, peers in the order of their names', async (t) => {
  holds(
    t,
    fc.property(configurations, (c) => {
      const fields = configurationFields(c)
      const peers = fields.filter((_, at) => at % 3 === 0)
      return same(configurationOfFields(fields), c) && same(peers, [...peersOf(c)]) && same(peers, [...peers].sort())
    }),
    500,
  )
  t.same(configurationFields({ ...three, outgoing: ['n1@a', 'n2@b'] }), [
    ...['n1@a', 'h1:7421', 3],
    ...['n2@b', 'h2:7421', 3],
    ...['n3@c', 'h3:7421', 1],
  ])
})

t.test(
  'a wiped directory may learn beside the one that it replaces, and two may not vote for one member',
  async (t) => {
    const addresses = { ...three.addresses, 'n1@z': 'h1:7421' }
    t.ok(checkConfiguration({ ...three, learners: ['n1@z'], addresses }))
    const both = { ...three, voters: ['n1@a', 'n1@z', 'n2@b', 'n3@c'], addresses }
    refused(
      t,
      () => checkConfiguration(both),
      'INVALID_ARGUMENT',
      /^voters must not have two directories of one member$/,
    )
  },
)

t.test('a configuration that is not well formed is refused, and says why', async (t) => {
  const many = (count: number, name: string) =>
    Array.from({ length: count }, (_, at) => `${name}${String(at).padStart(2, '0')}@d`)
  const at = (peers: readonly string[]) => Object.fromEntries(peers.map((peer) => [peer, 'h:1']))
  const bad: [Partial<Configuration>, RegExp][] = [
    [{ voters: [] }, /^voters must not be empty$/],
    [{ voters: ['n2@b', 'n1@a', 'n3@c'] }, /^voters must be sorted, and each peer there once$/],
    [{ voters: ['n1@a', 'n1@a'] }, /^voters must be sorted/],
    [{ voters: ['n1'] }, /^voters must be MEMBER@DIRECTORY/],
    [{ voters: many(LIMITS.votersMax + 1, 'v') }, /^voters must be at most 9$/],
    [{ outgoing: many(LIMITS.votersMax + 1, 'v') }, /^outgoing must be at most 9$/],
    [{ learners: many(LIMITS.peersMax + 1, 'v') }, /^learners must be at most 32$/],
    [{ learners: many(30, 'v'), addresses: at(many(30, 'v')) }, /^a configuration has at most 32 peers$/],
    [{ learners: ['n1@a'] }, /^n1@a must not vote and only learn$/],
    [{ learners: ['n9@a'] }, /^the address of n9@a must be a string, not nothing$/],
    [{ addresses: { ...three.addresses, 'n1@a': '' } }, /^the address of n1@a must be 1 to 300 bytes/],
    [{ addresses: { ...three.addresses, 'n9@a': 'h:1' } }, /^addresses must be of peers in the lists alone$/],
  ]
  for (const [change, sentence] of bad) {
    const c = { ...three, ...change }
    refused(t, () => checkConfiguration(c), 'INVALID_ARGUMENT', sentence)
    refused(t, () => configurationFields(c), 'INVALID_ARGUMENT', sentence, 'and never written')
  }
})
