/** Faults of buckets by key: each would deny who is below half of the limit, let somebody have more, or hide him. */
import type { Fault } from './fault.js'

const KEYED = ['test/quota/keyed.test.ts']
const SKETCHES = ['test/quota/sketches.test.ts']
const BUCKETS = ['test/quota/softbuckets.test.ts']
const HELD = 'keys above the limit are held within 3 percent of it, those below half of it are never denied'
const CHANGED = 'a change of leader denies nobody below half, and gives a key one burst more at most'

export const keyFaults: readonly Fault[] = [
  {
    name: 'keys: all that a sketch says is taken from a new bucket',
    claim: CHANGED,
    file: 'server/quota/softbuckets.ts',
    find: 'Math.min(taken, startMax)',
    replace: 'Math.max(taken, startMax)',
    tests: [...BUCKETS, ...KEYED],
  },
  {
    name: 'keys: who is above theta is denied by the sketch',
    claim: HELD,
    file: 'server/quota/keyed.ts',
    find: 'if (this.#accounts.size >= L.keyAccountsMax && !this.#makeRoom(nowMs)) return null',
    replace: 'if (quota.accounts.size < L.keyAccountsMax || !this.#makeRoom(nowMs)) return null',
    tests: KEYED,
  },
  {
    name: 'keys: what was taken fades faster than a bucket fills',
    claim: HELD,
    file: 'server/quota/keyed.ts',
    find: 'while (halfLifeMs < halfLifeMsOf(view)) halfLifeMs *= 4',
    replace: 'while (halfLifeMs > halfLifeMsOf(view)) halfLifeMs *= 4',
    tests: KEYED,
  },
  {
    name: 'keys: each member lets a key have what all of them may',
    claim: HELD,
    file: 'server/quota/keyedquota.ts',
    find: 'return this.burst / (2 * members)',
    replace: 'return (this.burst * members) / (2 * members)',
    tests: KEYED,
  },
  {
    name: 'keys: a bucket elsewhere is of no interest here',
    claim: HELD,
    file: 'server/quota/keyed.ts',
    find: 'return nowMs < this.listedUntilMs && this.listed.has(hash)',
    replace: 'return nowMs < this.listedUntilMs && this.listed.size < 0 * hash',
    tests: KEYED,
  },
  {
    name: 'keys: what a bucket granted is not remembered',
    claim: HELD,
    file: 'server/quota/softbuckets.ts',
    find: 'if (granted > 0) take(bucket, granted, nowMs)',
    replace: 'if (granted > 100) take(bucket, granted, nowMs)',
    tests: [...BUCKETS, ...KEYED],
  },
  {
    name: 'keys: what is not used comes back twice',
    claim: 'what is not used comes back once',
    file: 'server/quota/keyasks.ts',
    find: '      account.back = 0\n      this.#keyed.returning.delete(account)',
    replace: '      this.#keyed.returning.delete(account)',
    tests: KEYED,
  },
  {
    name: 'keys: the emptiest buckets make way',
    claim: 'the fullest make way, whatever their level; full ones are let go',
    file: 'server/quota/heap.ts',
    find: 'if (other.rank <= item.rank) break',
    replace: 'if (other.rank >= item.rank) break',
    tests: BUCKETS,
  },
  {
    name: 'keys: a changed specification gives a full bucket',
    claim: 'a changed specification adds nothing to what is left',
    file: 'server/quota/softbuckets.ts',
    find: 'return nowMs + Math.min(burst, before < 0 ? most : taken[before]!) * tokenMs',
    replace: 'return nowMs + 0 * Math.min(burst, before < 0 ? most : taken[before]!) * tokenMs',
    tests: BUCKETS,
  },
  {
    name: 'keys: a lost ask is not repeated',
    claim: 'messages that are lost let nobody have more, and are made up for',
    file: 'server/quota/keys.ts',
    find: 'if (this.#asks.lost(asks, nowMs)) this.#asks.send(asks, nowMs)',
    replace: 'if (nowMs < 0 && this.#asks.lost(asks, nowMs)) this.#asks.send(asks, nowMs)',
    tests: KEYED,
  },
  {
    name: 'keys: a sketch raises one of its rows alone',
    claim: 'a sketch never says less than was taken, however many share its cells and however long it runs',
    file: 'server/quota/countmin.ts',
    find: 'for (const at of this.#rows) if (cells[at]! < raised) cells[at] = raised',
    replace: 'for (const at of this.#rows.subarray(1)) if (cells[at]! < raised) cells[at] = raised',
    tests: SKETCHES,
  },
  {
    name: 'keys: weights are not divided when they become large',
    claim: 'a sketch never says less than was taken, however many share its cells and however long it runs',
    file: 'server/quota/countmin.ts',
    find: 'if (stale > 1) for (let at = 0;',
    replace: 'if (stale < 1) for (let at = 0;',
    tests: SKETCHES,
  },
  {
    name: 'keys: a newcomer among the talkers begins with nothing',
    claim: 'whoever asks for much is counted, and by no more than a share of all too much',
    file: 'server/quota/talkers.ts',
    find: '      counter.key = key\n      counter.rank += weight',
    replace: '      counter.key = key\n      counter.rank = weight',
    tests: SKETCHES,
  },
  {
    name: 'keys: a summary keeps its error to itself',
    claim: 'a summary cut short says so with its error, and several add up',
    file: 'server/quota/talkers.ts',
    find: 'return { errorPerS: beyond * perS, rows, totals }',
    replace: 'return { errorPerS: 0 * beyond * perS, rows, totals }',
    tests: SKETCHES,
  },
]
