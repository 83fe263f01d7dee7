/** One scene of chaos: a fresh cluster, clients, one kind of trouble, mending, progress, and judgement. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Network } from '#bench/network.js'
import { seeded } from '../kill/players.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { wholeAudits } from './audit.js'
import { judgeChaos } from './judge.js'
import { endWithUs } from './leftovers.js'
import type { LoadConfig, LoadFile, LoadSays } from './load.js'
import type { Nemesis, Strike } from './nemeses.js'
import { admittedOf, judgeTakes, untaken } from './takes.js'
import { World } from './world.js'

export interface SceneOptions {
  readonly nemesis: Nemesis
  readonly members: number
  readonly seed: number
  /** A folder for this scene alone; made here, and removed where all went well. */
  readonly folder: string
  readonly network: Network | null
  /** How long trouble is made. */
  readonly troubleMs: number
  readonly pauseMsMax: number
  /** However long that takes; one, unless told. */
  readonly strikesMin?: number
}

export interface SceneResult {
  readonly found: readonly string[]
  readonly strikes: readonly Strike[]
  /** Sent by clients, reads included. */
  readonly requests: number
  /** Changes of which no client ever learnt how they ended. */
  readonly unknown: number
  readonly operations: number
  readonly acknowledged: number
  /** Of quotas: tokens that were admitted, denials by members, and decisions of which nobody heard. */
  readonly tokens: { readonly admitted: number; readonly denied: number; readonly undecided: number }
}

const STEADY_MS = 1_000
const PROGRESS_MS_MAX = 20_000
const LOAD = fileURLToPath(new URL('./load.js', import.meta.url))

export async function playScene(options: SceneOptions): Promise<SceneResult> {
  const { folder, network, members, nemesis, seed } = options
  await mkdir(folder, { recursive: true })
  const smallDisks = nemesis.needs.includes('small disks')
  const world = await World.open({ members, folder, network, smallDisks })
  const load = new Load({ urls: world.members.map(({ url }) => url), seed, file: join(folder, 'history.json') })
  try {
    const { strikes, found } = await trouble(world, load, options)
    const history = await load.stop()
    const audits = await wholeAudits(world.members)
    const judged = judgeChaos(history, audits, () => performance.now())
    const views = judged.found.some((one) => one.startsWith('audit:'))
      ? await Promise.all(world.members.map(async (member) => `view of ${member.name}: ${await member.view()}`))
      : []
    const { takes, died } = history
    const taken = [...judgeTakes(takes), ...untaken(takes)]
    const all = [...found, ...views, ...world.endings, ...died.map((why) => `load: ${why}`), ...judged.found, ...taken]
    if (taken.length > 0) await writeFile(join(folder, 'takes.json'), JSON.stringify(takes))
    for (const [model, lines] of Object.entries(judged.lines))
      if (all.length > 0) await writeFile(join(folder, `${model}.jsonl`), lines)
    const acknowledged = load.acknowledged.reduce((sum, one) => sum + one, 0)
    const requests = history.asked.length + history.looks.length
    const unknown = history.asked.filter(({ outcome }) => outcome === null).length
    const tokens = { admitted: admittedOf(takes), denied: history.denied, undecided: history.undecided }
    return { found: all, strikes, requests, unknown, operations: judged.operations, acknowledged, tokens }
  } finally {
    await load.close()
    await world.close()
  }
}

/** Strikes until the time is over, mends, and waits until every client goes on. */
async function trouble(
  world: World,
  load: Load,
  { nemesis, seed, troubleMs, pauseMsMax, strikesMin = 1 }: SceneOptions,
): Promise<{ strikes: Strike[]; found: string[] }> {
  const random = seeded(seed)
  const found: string[] = []
  const strikes: Strike[] = []
  await load.progress()
  await sleep(STEADY_MS)
  const endMs = performance.now() + troubleMs
  try {
    while (performance.now() < endMs || strikes.length < strikesMin) {
      // Which comes first differs from scene to scene.
      strikes.push(await nemesis.strike(world, random, pauseMsMax, seed + strikes.length))
      await sleep(random() * 1_000)
    }
    await world.mend()
    await load.progress()
    await sleep(STEADY_MS)
  } catch (error) {
    found.push(`trouble: ${(error as Error).message}`)
    await world.mend().catch((mending: Error) => found.push(`mending: ${mending.message}`))
  }
  return { strikes, found }
}

/** The clients' process. */
class Load {
  acknowledged: readonly number[] = []
  readonly #child: ChildProcess
  readonly #file: string
  #stderr = ''

  constructor(config: LoadConfig) {
    this.#file = config.file
    const [command, ...before] = WITHOUT_RUNNER
    const args = [...before, process.execPath, LOAD, JSON.stringify(config)]
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    endWithUs(this.#child)
    this.#child.stderr!.on('data', (data) => {
      this.#stderr = (this.#stderr + data).slice(-4_096)
    })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.acknowledged = (JSON.parse(line) as LoadSays).acknowledged
    })
  }

  get #alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves once every client had something acknowledged since now; rejects where one has not within the time. */
  async progress(): Promise<void> {
    const endMs = performance.now() + PROGRESS_MS_MAX
    const before = this.acknowledged
    const behind = (): number[] => this.acknowledged.flatMap((count, i) => (count > (before[i] ?? 0) + 1 ? [] : [i]))
    while (this.acknowledged.length === 0 || behind().length > 0) {
      if (!this.#alive) throw new Error(`the clients' process ended: ${this.#stderr}`)
      if (performance.now() > endMs) throw new Error(`no progress of clients ${behind().join(', ')}`)
      await sleep(50)
    }
  }

  /** Ends it, and returns what it recorded. */
  async stop(): Promise<LoadFile> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    await closed
    const history = JSON.parse(await readFile(this.#file, 'utf8')) as LoadFile
    await rm(this.#file)
    return history
  }

  async close(): Promise<void> {
    if (!this.#alive) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}
