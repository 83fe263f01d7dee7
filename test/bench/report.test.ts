import t from 'tap'
import type { Percentiles } from '#bench/latency.js'
import { median } from '#bench/latency.js'
import {
  type Figure,
  meets,
  type Repeat,
  readable,
  reportMarkdown,
  scenarioReport,
  scenarioText,
  summarise,
} from '#bench/report.js'

const at = (p50: number): Percentiles => ({ count: 1, p50, p90: p50, p99: p50, p999: p50, max: p50 })
const repeat = (syncedMs: number, tripMs: number, figures: Figure[]): Repeat => ({
  raw: { syncedPut: at(syncedMs), roundTrip: at(tripMs) },
  figures,
})
const about = { scenario: 'lease', about: 'a test', seconds: 1, notes: ['loaded by hand'] }

t.test('a latency is held against one synced batch and one round trip of the same repeat', async (t) => {
  const alone = (value: number): Figure => ({
    name: 'alone',
    value,
    unit: 'ms',
    target: { sense: 'at most', times: 2.5, of: 'synced batch + round trip' },
  })
  const [finding] = summarise([
    repeat(0.2, 0.1, [alone(0.6)]),
    repeat(0.4, 0.2, [alone(1.2)]),
    repeat(1, 1, [alone(9)]),
  ])
  t.equal(finding?.value, 1.2)
  t.strictSame(
    finding?.target?.ratios.map((r) => Number(r.toFixed(6))),
    [2, 2, 4.5],
    'each repeat has its own limits',
  )
  t.equal(finding?.target?.met, true, 'the median of the ratios is judged')
})

t.test('a throughput is held against one synced batch after the other', async (t) => {
  const full = (value: number): Figure => ({
    name: 'full',
    value,
    unit: '/s',
    target: { sense: 'at least', times: 12, of: '1 / synced batch' },
  })
  t.equal(summarise([repeat(0.25, 1, [full(48_000)])])[0]?.target?.met, true)
  const short = scenarioReport(about, [repeat(0.25, 1, [full(47_999)])])
  t.equal(short.findings[0]?.target?.met, false)
  t.equal(short.met, false)
  t.match(scenarioText(short), /full +48,000 \/s +12 x \(1 \/ synced batch\) +at least 12 +FALLS SHORT/)
})

t.test('what could not be measured meets nothing', async (t) => {
  t.equal(meets({ sense: 'at most', times: 1, of: 'absolute' }, Number.NaN), false)
  t.equal(meets({ sense: 'at least', times: 1, of: 'absolute' }, Number.NaN), false)
  t.equal(readable(Number.NaN), 'not measured')
})

t.test('a report as a page has a table for each scenario', async (t) => {
  const figure: Figure = {
    name: 'full',
    value: 9,
    unit: '/s',
    target: { sense: 'at least', times: 12, of: 'absolute' },
  }
  const machine = {
    cpu: 'a processor',
    cores: 2,
    memoryMB: 1_000,
    loadAverage: 0,
    platform: 'linux 6',
    node: '20.15.0',
    revision: 'abc+',
  }
  const scenarios = [scenarioReport(about, [repeat(1, 1, [figure])])]
  const page = reportMarkdown({ at: '2026-01-02T03:04:05Z', machine, scenarios, met: false })
  t.match(
    page,
    /^# Figures of 2026-01-02\n\n2 x a processor, 1,000 MB, linux 6, node 20.15.0, revision abc\+, load 0.0\n/,
  )
  t.match(page, '| full | 9 /s | 9 | at least 12 | FALLS SHORT |\n')
  t.match(page, '- loaded by hand\n')
})

t.test('a figure without a target is shown and not judged', async (t) => {
  const report = scenarioReport(about, [repeat(1, 1, [{ name: 'resident', value: 812.4, unit: 'MB' }])])
  t.equal(report.met, true)
  t.match(scenarioText(report), /resident +812 MB\n/)
  t.match(scenarioText(report), /synced batch 1 ms, round trip 1 ms/)
  t.match(scenarioText(report), /loaded by hand/)
})

t.test('repeats that differ in their figures are not summarised', async (t) => {
  const one: Figure = { name: 'one', value: 1, unit: '' }
  t.throws(() => summarise([repeat(1, 1, [one]), repeat(1, 1, [{ ...one, name: 'other' }])]), /lacks the figure "one"/)
  t.throws(() => summarise([]), RangeError)
})

t.test('medians and numbers for people', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.ok(Number.isNaN(median([])))
  t.equal(readable(0), '0')
  t.equal(readable(0.012345), '0.0123')
  t.equal(readable(1234.5), '1,230')
  t.equal(readable(-12.34), '-12.3')
})
