/**
 * `npm run faults [-- --only TEXT] [-- --lanes N]`: plants every fault of the tables in a scratch copy and expects that a
 * test notices. Ends with `N passed, M failed`; a survivor, or a fault that does not compile, makes the exit code 1.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Fault } from './fault.js'
import { faults } from './index.js'
import { checkSound, type Judged, judge } from './judge.js'
import { Scratch } from './scratch.js'

const root = join(import.meta.dirname, '..', '..', '..')
const LANES_MAX = 8

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, lanes: { type: 'string', default: '2' } } })
  const lanes = Number(values.lanes)
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > LANES_MAX) return usage(`--lanes must be 1 to ${LANES_MAX}`)
  const chosen = faults.filter((fault) => fault.name.includes(values.only ?? ''))
  if (chosen.length === 0) return usage(`no fault has ${JSON.stringify(values.only)} in its name`)
  const judged = await judgeAll(chosen, Math.min(lanes, chosen.length))
  const failed = judged.filter(({ verdict }) => verdict !== 'caught').length
  console.log(`${judged.length - failed} passed, ${failed} failed`)
  return failed === 0 && judged.length === chosen.length ? 0 : 1
}

function usage(complaint: string): number {
  console.error(complaint)
  return 2
}

/** Each lane has a scratch copy of its own and takes the next fault. */
async function judgeAll(chosen: readonly Fault[], lanes: number): Promise<Judged[]> {
  const scratches: Scratch[] = []
  const judged: Judged[] = []
  const close = () => {
    for (const scratch of scratches) scratch.close()
  }
  try {
    process.once('exit', close)
    for (let i = 0; i < lanes; i++) scratches.push(new Scratch(root))
    const complaint = await checkSound(scratches[0]!, chosen)
    if (complaint !== null) throw new Error(complaint)
    const waiting = [...chosen]
    const lane = async (scratch: Scratch) => {
      for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
        const startMs = performance.now()
        const one = await judge(scratch, fault)
        judged.push(one)
        print(one, performance.now() - startMs)
      }
    }
    await Promise.all(scratches.map(lane))
  } finally {
    close()
  }
  return judged
}

function print({ fault, verdict, detail }: Judged, tookMs: number): void {
  const word = verdict === 'caught' ? 'caught  ' : verdict.toUpperCase().padEnd(8)
  console.log(`${word} ${fault.name.padEnd(52)} ${(tookMs / 1_000).toFixed(1).padStart(5)} s  ${detail}`)
  if (verdict !== 'caught') console.log(`         the claim: ${fault.claim}\n         in ${fault.file}`)
}

// An interrupted run leaves nothing behind either.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exitCode = await main()
