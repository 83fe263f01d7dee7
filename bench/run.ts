/**
 * Runs one scenario, repeat by repeat, each with fresh servers and with the raw limits measured before and after.
 * Whatever it opened is closed when a repeat ends, however it ends.
 */
import { Cluster } from './cluster.js'
import type { Network } from './network.js'
import { RawLimits } from './raw.js'
import { type Repeat, type ScenarioReport, scenarioReport } from './report.js'
import type { Scenario } from './scenario.js'

export interface RunOptions {
  readonly seconds: number
  /** Undefined: the scenario's own number. */
  readonly repeats: number | undefined
  readonly shrink: number
  /** Undefined: the scenario's own number. */
  readonly members: number | undefined
  /** The network that this process is in the hub of; null: none. */
  readonly network: Network | null
  readonly profile: string | undefined
  /** Samples of each raw limit per measurement. */
  readonly rawSamples: number
  readonly say: (text: string) => void
}

async function runOnce(scenario: Scenario, options: RunOptions, parent: string, notes: Set<string>): Promise<Repeat> {
  const clusters: Cluster[] = []
  const members = options.members ?? scenario.members ?? 1
  const network = scenario.network === true && members > 1 ? options.network : null
  const startCluster = async (flags: readonly string[] = [], inspect = false) => {
    const cluster = await Cluster.start({ parent, profile: options.profile, members, network, flags, inspect })
    clusters.push(cluster)
    return cluster
  }
  const raw = await RawLimits.open(parent)
  try {
    await raw.measure(options.rawSamples)
    const figures = await scenario.run({
      seconds: options.seconds,
      shrink: options.shrink,
      measureRaw: () => raw.measure(options.rawSamples),
      members,
      network,
      parent,
      startCluster,
      startServer: async () => (await startCluster()).leader(),
      note: (text) => void notes.add(text),
      say: (text) => options.say(`${scenario.name}: ${text}`),
    })
    await raw.measure(options.rawSamples)
    return { raw: raw.take(), figures }
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.close()))
    await raw.close()
  }
}

/** `parent` is the folder that the data directories, and the raw limits' LevelDB, are made in. */
export async function runScenario(scenario: Scenario, options: RunOptions, parent: string): Promise<ScenarioReport> {
  const repeats: Repeat[] = []
  const notes = new Set<string>()
  const count = options.repeats ?? scenario.repeats
  for (let i = 0; i < count; i++) repeats.push(await runOnce(scenario, options, parent, notes))
  const { name, about } = scenario
  return scenarioReport({ scenario: name, about, seconds: options.seconds, notes: [...notes] }, repeats)
}
