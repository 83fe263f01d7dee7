/** A server that is killed with -9 again and again loses nothing that it acknowledged. The long run: `npm run kill`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MAIN } from '../support/serverprocess.js'
import { judge } from './checker.js'
import { killRounds } from './rounds.js'

const ROUNDS = 8
const ACKNOWLEDGED_MIN = 200

t.test('kill -9 under load: nothing acknowledged is missing or undone, tokens grow, nobody ends early', async (t) => {
  const dataPath = await mkdtemp(join(tmpdir(), 'leasehold-kill-'))
  t.teardown(() => rm(dataPath, { recursive: true, force: true }))
  const seed = Date.now() % 2 ** 31
  const { history, rounds } = await killRounds({ rounds: ROUNDS, seed, dataPath, acknowledgedMin: ACKNOWLEDGED_MIN })
  t.equal(rounds.length, ROUNDS)
  for (const { acknowledged, unanswered } of rounds) {
    t.ok(acknowledged >= ACKNOWLEDGED_MIN, `${acknowledged} acknowledgements`)
    t.ok(unanswered >= 1, `${unanswered} without an answer at the kill`)
  }
  t.ok(history.looks.length > 0 && history.events.length > 0)
  t.same(judge(history), [], `seed ${seed}`)
})

t.test('caught: a server that answers before it writes loses its tail, and refuses to start over it', async (t) => {
  const dataPath = await mkdtemp(join(tmpdir(), 'leasehold-kill-'))
  t.teardown(() => rm(dataPath, { recursive: true, force: true }))
  const late = fileURLToPath(new URL('../../kill/late.mjs', import.meta.url))
  const program = ['--import', late, MAIN]
  const killed = killRounds({ rounds: 3, seed: 1, dataPath, acknowledgedMin: ACKNOWLEDGED_MIN, program })
  await t.rejects(killed, /before it served/)
})
