import t from 'tap'
import type { Strike, Struck } from './nemeses.js'
import { Tally } from './tally.js'

const inTurn = (name: string) => ({ name, inTurn: true })
const named = (...names: string[]) => names.map((name) => ({ name }))
const strike = (kind: string, struck: Struck): Strike => ({ kind, struck })
const tokens = { admitted: 7, denied: 5, undecided: 1 }
const scene = (strikes: Strike[], found: string[] = []) => ({ strikes, requests: 10, unknown: 2, found, tokens })

t.test('every kind is counted as what it was, and to whom it was done', async (t) => {
  const tally = new Tally(named('a', 'b', 'one thing after the other'), true)
  tally.add(scene([strike('a', 'leader'), strike('a', 'follower'), strike('a', 'follower')]))
  tally.add(
    scene([strike('b', 'several'), strike('a', 'leader')], ['lease: two holders', 'key "a": these', '  lines 1 to 2']),
  )
  t.same(
    tally.lines.map((line) => line.replaceAll(/ +/g, ' ')),
    [
      'a 4 leader 2, follower 2',
      'b 1 several 1',
      'quotas: 14 tokens admitted, 10 takes denied by members, 2 without an answer',
      '20 requests, 4 outcomes unknown, 1 violations',
    ],
  )
  t.same(tally.missing, [])
})

t.test('what could be done and was not is missing', async (t) => {
  const tally = new Tally(named('a', 'b'), true)
  tally.add(scene([strike('a', 'leader')]))
  t.same(tally.missing, ['never done: b', 'never done to a follower'])
  const one = new Tally(named('a'), true)
  t.same(one.missing, ['never done: a'])
  one.add(scene([strike('a', 'leader')]))
  t.same(one.missing, [], 'one kind alone need not strike everybody')
  const turns = new Tally([inTurn('a')], true)
  turns.add(scene([strike('a', 'leader')]))
  t.same(turns.missing, ['never done to a follower: a'])
  turns.add(scene([strike('a', 'follower')]))
  t.same(turns.missing, [])
  const alone = new Tally(named('a', 'b'), false)
  alone.add(scene([strike('a', 'leader'), strike('b', 'leader')]))
  t.same(alone.missing, [], 'a single server has no followers')
})
