/**
 * `npm run bench`: runs scenarios against real server processes, beside the machine's raw limits, and reports. Exit
 * codes: 0 done, 1 a target was missed (only with --assert) or a run failed, 2 usage.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BENCH } from './limits.js'
import { machineFacts } from './machine.js'
import { insideNetwork, networkHere, networkMissing } from './network.js'
import { type Options, parseOptions, UsageError, usage } from './options.js'
import { inOwnProcess } from './ownprocess.js'
import { profileDriver, profilesText } from './profile.js'
import { machineText, type Report, reportMarkdown, type ScenarioReport, scenarioText } from './report.js'
import { runScenario } from './run.js'
import { SCENARIOS } from './scenarios/index.js'

const say = (text: string) => void process.stderr.write(`  ${text}\n`)

async function run(options: Options): Promise<number> {
  const machine = machineFacts()
  process.stdout.write(`${machineText(machine)}\n\n`)
  const parent = await mkdtemp(join(tmpdir(), 'leasehold-bench-'))
  if (options.profile !== undefined) await mkdir(options.profile, { recursive: true })
  const stopProfile = options.profile === undefined ? null : await profileDriver(options.profile)
  const reports: ScenarioReport[] = []
  const given = { ...options, rawSamples: BENCH.rawSamples }
  // A profile is of this process and of the servers.
  const here = options.scenario !== 'all' || options.profile !== undefined
  try {
    for (const scenario of SCENARIOS) {
      if (options.scenario === 'all' ? scenario.apart : options.scenario !== scenario.name) continue
      const report = here
        ? await runScenario(scenario, { ...given, network: networkHere(), say }, parent)
        : await inOwnProcess({ scenario: scenario.name, options: given, parent })
      reports.push(report)
      process.stdout.write(`${scenarioText(report)}\n`)
    }
  } finally {
    await stopProfile?.()
    await rm(parent, { recursive: true, force: true })
  }
  if (options.profile !== undefined) process.stdout.write(await profilesText(options.profile))
  const met = reports.every((report) => report.met)
  const report: Report = { at: new Date().toISOString(), machine, scenarios: reports, met }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.markdown !== undefined) await writeFile(options.markdown, reportMarkdown(report))
  return options.assert && !met ? 1 : 0
}

async function main(argv: readonly string[]): Promise<number> {
  const apart = SCENARIOS.filter((scenario) => scenario.apart).map(({ name }) => name)
  const help = usage(
    SCENARIOS.map(({ name, about }) => [name, about]),
    apart,
  )
  try {
    const options = parseOptions(
      argv,
      SCENARIOS.map(({ name }) => name),
    )
    if (options !== null) return await (wantsNetwork(options) ? insideNetwork(NETWORK_MEMBERS) : run(options))
    process.stdout.write(`${help}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${help}\n`)
    return 2
  }
}

const NETWORK_MEMBERS = 3

/** Whether the whole run is to move into a network that can be cut. */
function wantsNetwork({ scenario, members }: Options): boolean {
  const wants = SCENARIOS.some(({ name, network }) => name === scenario && network === true)
  return wants && members !== 1 && networkHere() === null && networkMissing() === null
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exitCode = await main(process.argv.slice(2))
