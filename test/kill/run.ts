/** `npm run kill -- [--rounds N] [--seed S]`: the kill test for as long as you like. Exit code 1 where anything is wrong. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { judge } from './checker.js'
import { killRounds } from './rounds.js'

const ACKNOWLEDGED_MIN = 200

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } })
const rounds = Number(values.rounds ?? 50)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
if (!Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run kill -- [--rounds N] [--seed S]')
  process.exit(2)
}
const dataPath = await mkdtemp(join(tmpdir(), 'leasehold-kill-'))
try {
  const killed = await killRounds({ rounds, seed, dataPath, acknowledgedMin: ACKNOWLEDGED_MIN })
  const least = (of: (round: (typeof killed.rounds)[number]) => number) => Math.min(...killed.rounds.map(of))
  const found = judge(killed.history)
  const weak = killed.rounds.filter((round) => round.acknowledged < ACKNOWLEDGED_MIN || round.unanswered < 1).length
  for (const line of found) console.log(line)
  const { asked, events, looks } = killed.history
  const unknown = asked.filter((one) => one.outcome === null).length
  console.log(
    `${rounds} rounds: ${asked.length} requests, ${unknown} of unknown outcome, ${events.length} events, ${looks.length} reads`,
  )
  console.log(
    `least in a round: ${least((r) => r.acknowledged)} acknowledgements, ${least((r) => r.unanswered)} unanswered at the kill`,
  )
  console.log(`${found.length} violations, ${weak} rounds too weak to count (seed ${seed})`)
  process.exitCode = found.length + weak > 0 ? 1 : 0
} finally {
  await rm(dataPath, { recursive: true, force: true })
}
