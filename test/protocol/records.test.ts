import {
  type AuditEvent,
  auditSeq,
  type Command,
  chainedFields,
  chainedFromFields,
  clusterMs,
  decodeCommands,
  decodeCursor,
  encodeCommands,
  encodeCursor,
  eventBytes,
  eventFields,
  eventFromFields,
  fencingToken,
  LIMITS,
  logIndex,
  OP,
  run,
  term,
  wallMs,
} from '@leasehold/protocol'
import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'
import { commands, events, holds, names, naturals, refused, same } from './support.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

t.test('a batch of commands comes back as it went', async (t) => {
  holds(
    t,
    fc.property(fc.array(commands, { maxLength: 20 }), (batch) => {
      return same(decodeCommands(encodeCommands(batch)), batch)
    }),
    1_000,
  )
})

t.test('a batch in the log looks as the format says, byte for byte', async (t) => {
  const batch: Command[] = [
    { op: OP.renew, principal: 'p', name: 'n', token: fencingToken(300) },
    {
      op: OP.revoke,
      principal: 'p',
      name: 'n',
      request: { scope: 's', key: 9, lowest: 8, knownMs: clusterMs(7) },
    },
    { op: OP.revoke, principal: 'p', name: 'n', request: null },
  ]
  t.equal(hex(encodeCommands(batch)), '939402a170a16ecd012c9705a170a16ea17309080793' + '05a170a16e')
})

t.test('records hold what was within the limits of another version', async (t) => {
  const name = 'n'.repeat(LIMITS.nameBytesMax + 1)
  const batch: Command[] = [{ op: OP.release, principal: name, name, token: fencingToken(1) }]
  t.same(decodeCommands(encodeCommands(batch)), batch)
})

t.test('a command of a shape that is not known throws and is never guessed', async (t) => {
  const acquire = [1, 'p', 'n', 'h', 100, 0, 0, 0, null]
  const bad: [unknown, RegExp][] = [
    [[7], /^command must be an array, not 7$/],
    [[[]], /an operation that this version does not know: nothing$/],
    [[[99]], /does not know: 99$/],
    [[['1']], /does not know: the string "1"$/],
    [[[OP.get, 'n']], /does not know: 16$/],
    [[[...acquire, 's', 1, 1]], /^acquire takes 13 fields, not 12$/],
    [[[...acquire, 's', 1, 1, 0, 0]], /^acquire takes 13 fields, not 14$/],
    [[acquire.slice(0, 8)], /^meta must be a string, not nothing$/],
    [[acquire.with(6, '0')], /^priority must be/],
    [[acquire.with(8, 5)], /^meta must be a string/],
    [[[...acquire, 's', true, 1, 0]], /^key must be/],
    [[[...acquire, 's', 1, -1, 0]], /^lowest must be/],
    [[[...acquire, 's', 1, 1, null]], /^knownMs must be/],
    [[[2, 'p', 'n']], /^renew or release takes 4 fields, not 3$/],
    [[[3, 'p', 'n', 0]], /^token must be/],
    [[[4, 'p', 'n', 1]], /^transfer takes 5 fields, not 4$/],
    [[[5, 'p', 'n', 's']], /^revoke or quotaDelete takes 7 fields, not 4$/],
    [[[6, 'p', 's']], /^cancelWait takes 4 fields, not 3$/],
    [[[64, 0]], /^beat or sweep takes 1 fields, not 2$/],
    [[[66]], /^admitRun takes 5 fields, not 1$/],
    [[[66, 0, 'n', '', '']], /^member must be a string/],
    [[[66, 'n1@d', 'n', '', '']], /^member must not have an '@'$/],
    [[[66, 'n1', '', '', '']], /^nonce must be 1 to 64 bytes of visible ASCII/],
    [[[66, 'n1', 'n'.repeat(65), '', '']], /^nonce must be 1 to 64 bytes/],
    [[[66, 'n1', 'n', 0, '']], /^url must be a string/],
    [[[66, 'n1', 'n', '', null]], /^peerUrl must be a string/],
    [[[66, 'n1', 'n', '', '', 1]], /^formatMax must be a whole number from 2 /],
    [[[66, 'n1', 'n', '', '', 2, 3]], /^admitRun takes 5 fields, not 7$/],
    [[[70]], /^voters must not be empty$/],
    [[[70, 'n1@d', 'a:1']], /^a configuration takes three fields a peer$/],
    [[[70, 5, 'a:1', 1]], /^peer must be a string/],
    [[[70, 'n1@d', 5, 1]], /^address must be a string/],
    [[[70, 'n1@d', 'a:1', 0]], /^roles must be a whole number from 1 to 7, not 0$/],
    [[[70, 'n1@d', 'a:1', 5]], /^n1@d must not vote and only learn$/],
    [[[70, 'n2@d', 'a:1', 1, 'n1@d', 'a:2', 1]], /^the peers of a configuration must be sorted/],
    [[[70, 'n1@d', 'a:1', 1, 'n1@d', 'a:2', 1]], /each there once$/],
    [[[70, 'n1', 'a:1', 1]], /^voters must be MEMBER@DIRECTORY/],
    [[[67, 'x']], /^waiter must be/],
    [[[67]], /^waiterLost takes 2 fields/],
    [[[68]], /^trimAudit takes 2 fields/],
    [[[69, 0]], /^token must be/],
    [[[69]], /^raiseTokens takes 2 fields/],
    [[[64, [[]]]], /nested deeper than 2/],
    [{}, /an array is expected/],
  ]
  for (const [batch, sentence] of bad) refused(t, () => decodeCommands(encode(batch)), 'INVALID_ARGUMENT', sentence)
  refused(t, () => decodeCommands(new Uint8Array(0)), 'INVALID_ARGUMENT', /there is nothing/)
})

const event: AuditEvent = {
  seq: auditSeq(70_000),
  type: 'expired',
  name: 'billing/leader',
  holder: 'host-1',
  token: fencingToken(17),
  reason: 'expired',
  cause: 'ttl',
  principal: 'billing',
  wallMs: wallMs(1_795_000_000_000),
  clusterMs: clusterMs(12_345),
  member: 'n1',
  term: term(3),
  renewals: 2,
  vacant: true,
}

t.test('the canonical bytes of an event never change', async (t) => {
  t.equal(
    hex(eventBytes(event)),
    '9f01ce00011170a765787069726564ae62696c6c696e672f6c6561646572a6686f73742d3111a765787069726564' +
      'a374746ca762696c6c696e67cf000001a1ee565e00cd3039a26e310302c3',
  )
})

t.test('events come back as they went, with and without the links of the chain', async (t) => {
  holds(
    t,
    fc.property(events, (sent) => {
      const links = { previousHash: 'aa', hash: 'bb' }
      const read = eventFromFields(decode(eventBytes(sent)) as unknown[])
      const chained = chainedFromFields(chainedFields({ ...sent, ...links }))
      return same(read, sent) && same(chained, { ...sent, ...links })
    }),
  )
})

t.test('an event of a shape that is not known throws and is never guessed', async (t) => {
  const fields = eventFields(event)
  const bad: [number, unknown, RegExp][] = [
    [0, 2, /^event version must be 1, not 2$/],
    [1, -1, /^seq must be/],
    [2, 'stolen', /^type must be a word of this version, not the string "stolen"$/],
    [2, 'toString', /^type must be a word/],
    [2, 5, /^type must be a word of this version, not 5$/],
    [3, null, /^name must be a string/],
    [5, 1.5, /^token must be/],
    [6, 'bored', /^reason must be a word/],
    [7, null, /^cause must be a word/],
    [9, 'now', /^wallMs must be/],
    [13, null, /^renewals must be/],
    [14, 1, /^vacant must be true or false, not 1$/],
  ]
  for (const [i, value, sentence] of bad) {
    refused(t, () => eventFromFields(fields.with(i, value)), 'INVALID_ARGUMENT', sentence)
  }
  refused(t, () => eventFromFields([...fields, 0]), 'INVALID_ARGUMENT', /^event takes 15 fields, not 16$/)
  refused(t, () => chainedFromFields([...fields, 'aa', 0]), 'INVALID_ARGUMENT', /hashes must be strings/)
  refused(t, () => chainedFromFields([...fields, 0, 'aa']), 'INVALID_ARGUMENT', /hashes must be strings/)
  refused(t, () => chainedFromFields([]), 'INVALID_ARGUMENT', /hashes must be strings/)
})

t.test('a cursor leads back to its event in its own cluster alone', async (t) => {
  holds(
    t,
    fc.property(names, naturals, (id, seq) => decodeCursor(encodeCursor(id, seq), id) === seq),
  )
  t.equal(encodeCursor('c-1', 17), 'c-1.17')
  refused(t, () => decodeCursor('c-2.17', 'c-1'), 'CURSOR_COMPACTED', /of another cluster/)
  const bad = [
    '',
    'c-1',
    'c-1.',
    '.17',
    'c-1.-1',
    'c-1.1.5x',
    'c-1.017',
    'c-1.1e3',
    'c-1.9007199254740992',
    'c 1.17',
    'c-1.17\n',
  ]
  bad.push(`c-1.${'9'.repeat(17)}`, `${'c'.repeat(300)}.1`)
  for (const cursor of bad) {
    refused(t, () => decodeCursor(cursor, 'c-1'), 'INVALID_ARGUMENT', /^cursor must be one that was given out here/)
  }
})

t.test('branded numbers are numbers, and cost nothing', async (t) => {
  t.same([term(1), logIndex(2), clusterMs(3), run(4)], [1, 2, 3, 4])
})
