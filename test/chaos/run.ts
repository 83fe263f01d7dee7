/**
 * `npm run chaos -- --minutes M [--members 1 or 3] [--seed S] [--only TEXT] [--trouble SECONDS]`: scenes of chaos, one kind of
 * trouble after the other, until the time is over; every kind at least once. At the end it says how often each was done, how many
 * requests there were, how many of their outcomes stayed unknown, and what was violated; then `N passed, M failed`. Exit
 * code 1 where any failed, and where a kind that can be had here was not done.
 *
 * Where network namespaces can be made, the whole run moves into one, so that members can be cut off from each other.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { insideNetwork, type Network, networkHere, networkMissing } from '#bench/network.js'
import { NEMESES, type Need, type Nemesis } from './nemeses.js'
import { playScene, type SceneResult } from './scene.js'
import { smallDiskMissing } from './smalldisk.js'
import { straceMissing } from './strace.js'
import { Tally } from './tally.js'

/** In each scene, unless told. */
const TROUBLE_S = 8
const PAUSE_MS_MAX = 30_000
const MEMBERS = 3
const USAGE = 'usage: npm run chaos -- --minutes M [--members 1 or 3] [--seed S] [--only TEXT] [--trouble SECONDS]'

interface Wish {
  readonly minutes: number
  readonly members: number
  readonly seed: number
  readonly only: string
  readonly troubleMs: number
}

function wishOf(args: string[]): Wish | null {
  const text = { type: 'string' } as const
  try {
    const { values } = parseArgs({
      args,
      options: { minutes: text, members: text, seed: text, only: text, trouble: text },
    })
    const minutes = Number(values.minutes ?? 1)
    const members = Number(values.members ?? MEMBERS)
    const seed = Number(values.seed ?? Date.now() % 2 ** 31)
    const troubleMs = Number(values.trouble ?? TROUBLE_S) * 1_000
    const lasts = minutes > 0 && minutes <= 1_440 && troubleMs > 0 && troubleMs <= 600_000
    const fits = lasts && (members === 1 || members === MEMBERS) && Number.isSafeInteger(seed)
    return fits ? { minutes, members, seed, only: values.only ?? '', troubleMs } : null
  } catch {
    return null
  }
}

/** Kinds of trouble that can be made here. What cannot is said. */
function possible(wish: Wish, folder: string, network: string | null): Nemesis[] {
  const missing: Readonly<Record<Need, string | null>> = {
    'three members': wish.members === MEMBERS ? null : 'there is one member',
    network,
    'small disks': smallDiskMissing(folder),
    strace: straceMissing(),
  }
  return NEMESES.filter(({ name, needs }) => {
    const lacks = needs.map((need) => missing[need]).find((why) => why !== null)
    if (lacks !== undefined) console.log(`LEFT OUT ${name}: ${lacks}`)
    return lacks === undefined && name.includes(wish.only)
  })
}

async function chaos(wish: Wish, network: Network | null, why: string | null): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-chaos-'))
  const nemeses = possible(wish, folder, why)
  const endMs = performance.now() + wish.minutes * 60_000
  const tally = new Tally(nemeses, wish.members === MEMBERS)
  let [passed, failed] = [0, 0]
  for (let scene = 0; nemeses.length > 0 && (performance.now() < endMs || scene < nemeses.length); scene++) {
    const nemesis = nemeses[scene % nemeses.length]!
    const result = await play(wish, nemesis, scene, join(folder, `scene-${scene}`), network)
    tally.add(result)
    if (result.found.length === 0) passed++
    else failed++
  }
  if (failed === 0) await rm(folder, { recursive: true, force: true })
  for (const line of tally.lines) console.log(line)
  for (const line of tally.missing) console.log(`FAILED  ${line}`)
  console.log(`seed ${wish.seed}`)
  console.log(`${passed} passed, ${failed} failed`)
  return failed > 0 || passed === 0 || tally.missing.length > 0 ? 1 : 0
}

async function play(
  wish: Wish,
  nemesis: Nemesis,
  scene: number,
  folder: string,
  network: Network | null,
): Promise<SceneResult> {
  const startMs = performance.now()
  const seed = wish.seed + scene
  const { members, troubleMs } = wish
  const strikesMin = nemesis.inTurn === true && members > 1 ? 2 : 1
  const options = { nemesis, members, seed, folder, network, troubleMs, strikesMin, pauseMsMax: PAUSE_MS_MAX }
  const result: SceneResult = await playScene(options).catch((error: Error) => ({
    found: [String(error.stack)],
    strikes: [],
    requests: 0,
    unknown: 0,
    operations: 0,
    acknowledged: 0,
    tokens: { admitted: 0, denied: 0, undecided: 0 },
  }))
  const { found, strikes, operations, acknowledged, tokens } = result
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  const word = found.length === 0 ? 'passed' : 'FAILED'
  const done = `${strikes.length} times, ${acknowledged} acknowledged, ${operations} judged, ${tokens.admitted} tokens`
  console.log(`${word}  ${nemesis.name.padEnd(44)} ${seconds.padStart(5)} s  ${done}`)
  for (const line of found.slice(0, 40)) console.log(`        ${line}`)
  if (found.length > 0)
    console.log(`        kept in ${folder}; again: npm run chaos -- --only '${nemesis.name}' --seed ${seed}`)
  else await rm(folder, { recursive: true, force: true })
  return result
}

async function main(): Promise<number> {
  const wish = wishOf(process.argv.slice(2))
  if (wish === null) {
    console.error(USAGE)
    return 2
  }
  const network = networkHere()
  if (network !== null) return chaos(wish, network, null)
  const why = wish.members === 1 ? 'there is one member' : networkMissing()
  return why === null ? insideNetwork(MEMBERS) : chaos(wish, null, why)
}

// What this process started is ended as it exits (leftovers.ts, and the network's maker), which a bare signal would leave out.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exitCode = await main()
