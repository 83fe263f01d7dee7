/** Histories of leases written by hand, right ones and wrong ones; of each wrong one the operations that do not fit are named. */
import t from 'tap'
import { judge } from './check.js'
import { pairUp } from './history.js'
import { readLines } from './lines.js'
import { MODELS } from './models.js'

const NEVER = { stepsMax: 1_000_000, over: () => false }

/**
 * A line for each operation: when it was called and when it had its answer, what was asked, what came back. Without an answer its outcome is
 * unknown.
 */
type Told = readonly [calledMs: number, endedMs: number, f: string, asked: object | null, answer?: unknown]

function verdictOf(...told: readonly Told[]): string {
  const lines = told.flatMap(([calledMs, endedMs, f, value, answer], process) => {
    const call = { at: calledMs, text: { type: 'invoke', process, f, value, time: calledMs } }
    const end = { at: endedMs + 0.5, text: { type: 'ok', process, f, value: answer, time: endedMs } }
    return answer === undefined ? [call] : [call, end]
  })
  lines.sort((a, b) => a.at - b.at)
  const text = lines.map((line) => `${JSON.stringify(line.text)}\n`).join('')
  const { lines: read, faults } = readLines(new TextEncoder().encode(text))
  const paired = pairUp(read, MODELS.lease!)
  const said = [...faults, ...paired.faults].map(({ says }) => says)
  if (said.length > 0) return said.join('; ')
  const { verdict, reasons } = judge(MODELS.lease!, paired.history, NEVER)
  return verdict === 'linearizable' ? verdict : [verdict, ...reasons].join('\n')
}

const acquire = (atMs: number, answer: unknown, more: object = {}): Told => [
  atMs,
  atMs + 1,
  'acquire',
  { ttlMs: 1_000, ...more },
  answer,
]
/** It waits from one moment to another under a ticket, and is told in between that it was queued. */
const waits = (ticket: string, fromMs: number, untilMs: number, answer: unknown, more: object = {}): Told[] => [
  [fromMs, fromMs + 1, 'acquire', { ttlMs: 1_000, waitMs: 9_000, ticket, ...more }, 'queued'],
  [fromMs, untilMs, 'await', { ticket }, answer],
]
const release = (atMs: number, token: number, answer: unknown = true): Told => [
  atMs,
  atMs + 1,
  'release',
  { token },
  answer,
]
const transfer = (atMs: number, token: number, to: string): Told => [atMs, atMs + 1, 'transfer', { token, to }, true]
const get = (atMs: number, answer: unknown): Told => [atMs, atMs + 1, 'get', null, answer]
const renew = (atMs: number, token: number, answer: boolean): Told => [
  atMs,
  atMs + 1,
  'renew',
  { token, ttlMs: 1_000 },
  answer,
]
const offer = (token: number) => ({ token, claimWithinMs: 1_000 })

t.test('a transfer makes another token, and is to one who waits under that name', async (t) => {
  const before = [acquire(0, 5), ...waits('x', 10, 60, offer(6), { holder: 'x' }), transfer(50, 5, 'x')]
  t.equal(verdictOf(...before, renew(70, 6, true), get(80, 6)), 'linearizable')
  t.match(verdictOf(...before, get(80, 5)), /^not linearizable[\s\S]*finds it held under token 5/)
  t.match(verdictOf(...before, renew(80, 5, true)), /^not linearizable[\s\S]*renews token 5/)
  const same = [acquire(0, 5), ...waits('x', 10, 60, offer(5), { holder: 'x' }), transfer(50, 5, 'x')]
  t.match(verdictOf(...same), /^not linearizable[\s\S]*gets token 5/)
  const another = [acquire(0, 5), ...waits('y', 10, 60, offer(6), { holder: 'y' }), transfer(50, 5, 'x')]
  t.match(verdictOf(...another, get(70, 6), renew(80, 6, true), release(90, 5)), /^not linearizable/)
})

t.test('what was transferred is gone: nobody gives it back, or passes it on to somebody else', async (t) => {
  const before = [acquire(0, 5), transfer(50, 5, 'x')]
  t.match(verdictOf(...before, release(60, 5)), /^not linearizable[\s\S]*releases token 5/)
  t.match(verdictOf(...before, transfer(60, 5, 'y')), /^not linearizable[\s\S]*transfers token 5 to y/)
  t.equal(verdictOf(...before, transfer(60, 5, 'x')), 'linearizable', 'again to the same')
})

t.test('who waits first has it first, and a higher priority comes before', async (t) => {
  const queue = (a: unknown, b: unknown, more: object = {}) => [
    acquire(0, 1),
    ...waits('a', 10, 200, a),
    ...waits('b', 20, 200, b, more),
    release(100, 1),
    get(150, 2),
  ]
  t.equal(verdictOf(...queue(offer(2), null)), 'linearizable')
  t.equal(verdictOf(...queue(null, offer(2))), 'linearizable', 'the first one may have left')
  t.equal(verdictOf(...queue(offer(3), offer(2), { priority: 1 }), release(160, 2)), 'linearizable')
  t.match(
    verdictOf(...queue(offer(3), offer(2)), release(160, 2)),
    /^not linearizable[\s\S]*waits under ticket a and gets token 3/,
  )
  t.match(
    verdictOf(...queue(offer(2), offer(3), { priority: 1 }), release(160, 2)),
    /^not linearizable[\s\S]*waits under ticket b and gets token 3/,
  )
})

t.test('who does not wait gets nothing that others wait for', async (t) => {
  const before = [acquire(0, 1), ...waits('a', 10, 400, offer(3)), release(100, 1)]
  t.match(verdictOf(...before, acquire(200, 2), release(300, 2)), /^not linearizable[\s\S]*waits under ticket a/)
  t.equal(verdictOf(...before, acquire(200, null)), 'linearizable')
})

t.test('one that waits gets it once, and only while nobody has it', async (t) => {
  t.match(verdictOf(acquire(0, 1), ...waits('a', 10, 200, offer(2)), get(300, 1)), /^not linearizable/)
  const once = [acquire(0, 1), ...waits('a', 10, 200, offer(2)), release(100, 1), release(210, 2)]
  t.equal(verdictOf(...once), 'linearizable')
  t.match(verdictOf(...once, [220, 300, 'await', { ticket: 'a' }, offer(3)]), /^not linearizable[\s\S]*gets token 3/)
  t.match(verdictOf(...waits('a', 10, 200, null)), /^not linearizable/, 'nobody is queued for what is free')
})

t.test('an acquire that may wait is answered when it has it, in an order that is left open', async (t) => {
  const may = (fromMs: number, untilMs: number, answer: unknown): Told => [
    fromMs,
    untilMs,
    'acquire',
    { ttlMs: 1_000, waitMs: 9_000 },
    answer,
  ]
  const before = [acquire(0, 1), release(100, 1), release(190, 2)]
  t.equal(verdictOf(...before, may(10, 300, offer(3)), may(20, 150, offer(2))), 'linearizable')
  t.match(verdictOf(acquire(0, 1), may(10, 90, 2), release(100, 1)), /^not linearizable[\s\S]*waiting if need be/)
})

t.test("an operator takes it away, and then it is nobody's", async (t) => {
  const revoke = (atMs: number, answer: unknown): Told => [atMs, atMs + 1, 'revoke', null, answer]
  t.equal(verdictOf(acquire(0, 1), revoke(10, 1), renew(20, 1, false), acquire(30, 2)), 'linearizable')
  t.match(verdictOf(acquire(0, 1), revoke(10, 1), renew(20, 1, true)), /^not linearizable[\s\S]*renews token 1/)
  t.match(
    verdictOf(acquire(0, 1), revoke(10, null), get(20, 1)),
    /^not linearizable[\s\S]*revokes it and finds it free/,
  )
  t.match(verdictOf(acquire(0, 1), revoke(10, 2)), /^not linearizable[\s\S]*revokes it from token 2/)
})

t.test('it ends by time, not before, and an offer within its own time', async (t) => {
  t.match(verdictOf(acquire(0, 1), acquire(900, 2)), /^not linearizable[\s\S]*gets token 2/)
  t.equal(verdictOf(acquire(0, 1), acquire(1_100, 2)), 'linearizable')
  const soon = (claimWithinMs: number) => [
    acquire(0, 1),
    ...waits('a', 10, 101, { token: 2, claimWithinMs }),
    release(100, 1),
    acquire(500, 3),
  ]
  t.equal(verdictOf(...soon(300)), 'linearizable')
  t.match(verdictOf(...soon(600)), /^not linearizable[\s\S]*gets token 3/)
})

t.test('after an unclean end nobody has it for as long as was asked for', async (t) => {
  const delayed = { lockDelayMs: 500 }
  const revoke: Told = [10, 11, 'revoke', null, 1]
  t.match(verdictOf(acquire(0, 1, delayed), revoke, acquire(400, 2)), /^not linearizable[\s\S]*gets token 2/)
  t.equal(verdictOf(acquire(0, 1, delayed), revoke, acquire(400, null), acquire(600, 2)), 'linearizable')
  t.match(verdictOf(acquire(0, 1), revoke, acquire(400, null)), /^not linearizable[\s\S]*hears that it is held/)
  t.equal(verdictOf(acquire(0, 1, delayed), release(10, 1), acquire(20, 2)), 'linearizable', 'a clean end')
  t.match(verdictOf(acquire(0, 1, delayed), acquire(1_200, 2)), /^not linearizable/)
})

t.test('what is not as the page says is refused', async (t) => {
  t.match(verdictOf([0, 1, 'transfer', { token: 1 }, true]), /^transfer is invoked with {"token", "to"}/)
  t.match(verdictOf(acquire(0, 1, { ticket: 'a' })), /^a ticket is for one that may wait/)
  t.match(verdictOf(acquire(0, 'queued', { waitMs: 5 })), /^acquire ends with a token or null, an offer/)
  t.match(verdictOf(acquire(0, offer(1))), /^acquire ends with a token or null/)
  t.match(verdictOf(acquire(0, 1, { holder: '' })), /^holder is a text/)
  t.match(verdictOf([0, 1, 'await', { ticket: 'a' }, { token: 1 }]), /^await ends with a token or null, an offer/)
})
