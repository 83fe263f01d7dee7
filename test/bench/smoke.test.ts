/** Every scenario runs end to end against a real server, with tiny counts. Its figures are not judged: sizes and seconds are too small. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { inOwnProcess } from '#bench/ownprocess.js'
import { SCENARIOS } from '#bench/scenarios/index.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

// Eight server processes start here, one after the other: on a busy machine that takes a while.
t.setTimeout(180_000)

for (const scenario of SCENARIOS.filter(({ apart }) => apart !== true)) {
  t.test(`${scenario.name} runs, and brings figures for each of its targets`, async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'leasehold-bench-test-'))
    t.teardown(() => rm(parent, { recursive: true, force: true }))
    const options = {
      seconds: 0.1,
      repeats: 1,
      shrink: 1_000,
      members: 1,
      rawSamples: 10,
      profile: undefined,
    }
    const report = await inOwnProcess({ scenario: scenario.name, options, parent }, WITHOUT_RUNNER)
    t.ok(report.raw.syncedBatchMs > 0, 'a synced batch was measured')
    t.ok(report.raw.roundTripMs > 0, 'a round trip was measured')
    t.ok(
      report.findings.some((finding) => finding.target !== undefined),
      'it has a target',
    )
    for (const { name, value, target } of report.findings) {
      t.ok(Number.isFinite(value), `${name}: ${value}`)
      if (target !== undefined) t.ok(Number.isFinite(target.ratio), `${name}: ratio ${target.ratio}`)
    }
    t.strictSame(await readdir(parent), [], 'servers and their data are gone')
  })
}

t.test('a process that ends without a report says so', async (t) => {
  const options = { seconds: 0.1, repeats: 1, shrink: 1_000, members: 1, rawSamples: 10, profile: undefined }
  const nowhere = join(tmpdir(), 'leasehold-bench-test-nowhere', 'at-all')
  await t.rejects(inOwnProcess({ scenario: 'check', options, parent: nowhere }), {
    message: 'the process of check ended with 1',
  })
})
