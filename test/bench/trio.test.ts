/** Scenarios of three members, and of sketches, run end to end, too, with tiny counts. Its figures are not judged: sizes and seconds are too small. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { inOwnProcess } from '#bench/ownprocess.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

// Three server processes for each, one scenario after the other: on a busy machine that takes a while.
t.setTimeout(300_000)

const TRIED = ['reads', 'failover', 'endure', 'fairness', 'keyed', 'heavy']

for (const scenario of TRIED) {
  t.test(`${scenario} runs with three members, and every figure is a number`, async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'leasehold-bench-trio-'))
    t.teardown(() => rm(parent, { recursive: true, force: true }))
    const options = {
      seconds: 0.1,
      repeats: 1,
      shrink: 10_000,
      members: 3,
      rawSamples: 10,
      profile: undefined,
    }
    const report = await inOwnProcess({ scenario, options, parent }, WITHOUT_RUNNER)
    t.not(report.findings.length, 0, 'it has figures')
    for (const { name, value } of report.findings) t.ok(Number.isFinite(value), `${name}: ${value}`)
    t.strictSame(await readdir(parent), [], 'servers and their data are gone')
  })
}
