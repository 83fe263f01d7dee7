/** Reads, failover and endurance of three members run end to end, too, with tiny counts. Its figures are not judged: sizes and seconds are too small. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runScenario } from '#bench/run.js'
import { SCENARIOS } from '#bench/scenarios/index.js'

// Three server processes for each, one scenario after the other: on a busy machine that takes a while.
t.setTimeout(300_000)

const TRIED = ['reads', 'failover', 'endure']

for (const scenario of SCENARIOS.filter(({ name }) => TRIED.includes(name))) {
  t.test(`${scenario.name} runs with three members, and every figure is a number`, async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'leasehold-bench-trio-'))
    t.teardown(() => rm(parent, { recursive: true, force: true }))
    const options = {
      seconds: 0.1,
      repeats: 1,
      shrink: 10_000,
      members: 3,
      network: null,
      rawSamples: 10,
      profile: undefined,
      say() {},
    }
    const report = await runScenario(scenario, options, parent)
    t.not(report.findings.length, 0, 'it has figures')
    for (const { name, value } of report.findings) t.ok(Number.isFinite(value), `${name}: ${value}`)
    t.strictSame(await readdir(parent), [], 'servers and their data are gone')
  })
}
