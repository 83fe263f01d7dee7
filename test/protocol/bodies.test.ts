import {
  CLASS,
  classOf,
  OP,
  type Op,
  parseCommand,
  parseGet,
  parseHistory,
  parseList,
  parseTime,
  parseUnwatch,
  parseWatch,
} from '@leasehold/protocol'
import t from 'tap'
import { NOT_WHOLE, refused } from './support.js'

const sender = { principal: 'billing', scope: 's:00112233445566778899aabbccddeeff' }
const acquire: readonly unknown[] = [4, 2, 500, 'billing/leader', 'host-1', 10_000, 0, 0, 0, 'http://host-1']
const parse = (op: Op, fields: readonly unknown[]) => parseCommand(op, fields, sender)

t.test('bodies become commands on behalf of their sender', async (t) => {
  const request = { scope: sender.scope, key: 4, lowest: 2, knownMs: 500 }
  const asked = { principal: 'billing', name: 'billing/leader' }
  t.same(parse(OP.acquire, acquire), {
    op: OP.acquire,
    ...asked,
    holder: 'host-1',
    ttlMs: 10_000,
    waitMs: 0,
    priority: 0,
    lockDelayMs: 0,
    meta: 'http://host-1',
    request,
  })
  t.same(parse(OP.renew, ['billing/leader', 17]), { op: OP.renew, ...asked, token: 17 })
  t.same(parse(OP.release, ['billing/leader', 17]), { op: OP.release, ...asked, token: 17 })
  t.same(parse(OP.transfer, ['billing/leader', 17, 'host-2']), { op: OP.transfer, ...asked, token: 17, to: 'host-2' })
  t.same(parse(OP.revoke, [4, 2, 500, 'billing/leader']), { op: OP.revoke, ...asked, request })
  t.same(parse(OP.cancelWait, [4]), { op: OP.cancelWait, principal: 'billing', scope: sender.scope, key: 4 })
})

t.test('every wrong field of every change is refused by its name', async (t) => {
  const shapes: [Op, readonly unknown[], readonly string[]][] = [
    [
      OP.acquire,
      acquire,
      ['seq', 'lowest', 'knownMs', 'name', 'holder', 'ttlMs', 'waitMs', 'priority', 'lockDelayMs', 'meta'],
    ],
    [OP.renew, ['n', 1], ['name', 'token']],
    [OP.release, ['n', 1], ['name', 'token']],
    [OP.transfer, ['n', 1, 'to'], ['name', 'token', 'to']],
    [OP.revoke, [1, 1, 0, 'n'], ['seq', 'lowest', 'knownMs', 'name']],
    [OP.cancelWait, [1], ['seq']],
  ]
  for (const [op, fields, fieldNames] of shapes) {
    fieldNames.forEach((field, i) => {
      const values = typeof fields[i] === 'number' ? NOT_WHOLE : [7, true, undefined, {}, [], new Uint8Array(2)]
      for (const value of values) {
        refused(t, () => parse(op, fields.with(i, value)), 'INVALID_ARGUMENT', new RegExp(`^${field} must be`))
      }
    })
  }
})

t.test('a token of 0, -1, 1.5, 2^53 or a string names nothing', async (t) => {
  for (const token of [0, -1, 1.5, 2 ** 53, '17']) {
    for (const op of [OP.renew, OP.release]) {
      refused(
        t,
        () => parse(op, ['n', token]),
        'INVALID_ARGUMENT',
        /^token must be a whole number from 1 to 9007199254740991/,
      )
    }
    refused(t, () => parse(OP.transfer, ['n', token, 'to']), 'INVALID_ARGUMENT', /^token must be/)
  }
})

t.test('a field too many or too few is refused, never ignored', async (t) => {
  const counted: [string, (fields: readonly unknown[]) => unknown, readonly unknown[]][] = [
    ['acquire', (f) => parse(OP.acquire, f), acquire],
    ['renew', (f) => parse(OP.renew, f), ['n', 1]],
    ['release', (f) => parse(OP.release, f), ['n', 1]],
    ['transfer', (f) => parse(OP.transfer, f), ['n', 1, 'to']],
    ['revoke', (f) => parse(OP.revoke, f), [1, 1, 0, 'n']],
    ['cancelWait', (f) => parse(OP.cancelWait, f), [1]],
    ['get', parseGet, ['n']],
    ['list', parseList, ['', null, 10]],
    ['history', parseHistory, [null, null, null, 10]],
    ['watch', parseWatch, ['', null]],
    ['unwatch', parseUnwatch, [1]],
    ['time', parseTime, []],
  ]
  for (const [what, act, fields] of counted) {
    t.doesNotThrow(() => act([...fields]), what)
    const sentence = new RegExp(`^${what} takes ${fields.length} fields, not`)
    refused(t, () => act([...fields, null]), 'INVALID_ARGUMENT', sentence)
    if (fields.length > 0) refused(t, () => act(fields.slice(1)), 'INVALID_ARGUMENT', sentence)
  }
})

t.test('a request cannot wait for what comes after it', async (t) => {
  t.doesNotThrow(() => parse(OP.revoke, [4, 4, 0, 'n']))
  refused(t, () => parse(OP.revoke, [4, 5, 0, 'n']), 'INVALID_ARGUMENT', /^lowest must be at most seq 4, not 5$/)
  refused(t, () => parse(OP.acquire, acquire.with(1, 5)), 'INVALID_ARGUMENT', /^lowest must be at most seq 4/)
})

t.test('meta over 1 KiB is too large', async (t) => {
  refused(t, () => parse(OP.acquire, acquire.with(9, 'x'.repeat(1_025))), 'TOO_LARGE', /^meta must be at most/)
  t.equal(parse(OP.acquire, acquire.with(9, null)).op, OP.acquire)
})

t.test('queries are checked into their fields', async (t) => {
  t.equal(parseGet(['billing/leader']), 'billing/leader')
  t.same(parseList(['billing/', null, 100]), { prefix: 'billing/', after: null, limit: 100 })
  t.same(parseList(['', 'billing/a', 1]), { prefix: '', after: 'billing/a', limit: 1 })
  t.same(parseHistory(['a', null, 'c1.17', 5]), { name: 'a', prefix: null, cursor: 'c1.17', limit: 5 })
  t.same(parseHistory([null, 'a/', null, 5]), { name: null, prefix: 'a/', cursor: null, limit: 5 })
  t.same(parseWatch(['a/', 'c1.0']), { prefix: 'a/', cursor: 'c1.0' })
  t.same(parseWatch(['', null]), { prefix: '', cursor: null })
  t.equal(parseUnwatch([2 ** 32 - 1]), 2 ** 32 - 1)
  refused(t, () => parseUnwatch([2 ** 32]), 'INVALID_ARGUMENT', /^watchId must be/)
  refused(t, () => parseGet(['a//b']), 'INVALID_ARGUMENT', /^name must not have an empty segment/)
  refused(t, () => parseList(['', '', 1]), 'INVALID_ARGUMENT', /^after must not be empty/)
  refused(t, () => parseList(['', null, 1_001]), 'INVALID_ARGUMENT', /^limit must be a whole number from 1 to 1000/)
  refused(t, () => parseHistory(['a', 'b', null, 1]), 'INVALID_ARGUMENT', /^give name or prefix, not both$/)
  refused(t, () => parseHistory([null, null, 'a b', 1]), 'INVALID_ARGUMENT', /^cursor must be 1 to 300 bytes/)
  refused(t, () => parseWatch(['', 7]), 'INVALID_ARGUMENT', /^cursor must be a string, not 7$/)
})

t.test('what changes nothing is no command', async (t) => {
  for (const op of [OP.get, OP.list, OP.history, OP.watch, OP.unwatch, OP.time]) {
    refused(t, () => parse(op, []), 'INVALID_ARGUMENT', new RegExp(`^operation ${op} changes nothing$`))
  }
})

t.test('every operation has its class, and a retried change is more urgent than a new one', async (t) => {
  const classes: [Op, number][] = [
    [OP.renew, CLASS.renew],
    [OP.release, CLASS.release],
    [OP.transfer, CLASS.release],
    [OP.cancelWait, CLASS.release],
    [OP.acquire, CLASS.acquire],
    [OP.revoke, CLASS.acquire],
    [OP.get, CLASS.read],
    [OP.time, CLASS.read],
    [OP.list, CLASS.staleRead],
    [OP.watch, CLASS.staleRead],
    [OP.unwatch, CLASS.staleRead],
    [OP.history, CLASS.audit],
    [OP.quotaSet, CLASS.acquire],
    [OP.quotaDelete, CLASS.acquire],
    [OP.take, CLASS.acquire],
    [OP.draw, CLASS.acquire],
    [OP.quotaGet, CLASS.read],
    [OP.quotaList, CLASS.staleRead],
    [OP.quotaTop, CLASS.staleRead],
  ]
  t.same(classes.map(([op]) => op).sort(), Object.values(OP).sort(), 'none is left out')
  for (const [op, workClass] of classes) t.equal(classOf(op, 1), workClass)
  t.equal(classOf(OP.acquire, 2), CLASS.retried)
  t.equal(classOf(OP.revoke, 2), CLASS.retried)
  t.equal(classOf(OP.renew, 2), CLASS.renew)
})
