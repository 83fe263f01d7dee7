/**
 * What a run found, for people (a table) and for programs (JSON): figures, and targets as ratios against the raw limits
 * of the same run. Pure: it measures nothing.
 */
import { median } from './latency.js'
import type { RawFigures } from './raw.js'

/**
 * What a figure is held against: the p50 of one synced batch, of one round trip, their sum (all in ms), how many
 * synced batches follow each other in a second, or a plain number.
 */
export type Base = 'synced batch' | 'round trip' | 'synced batch + round trip' | '1 / synced batch' | 'absolute'

export interface Target {
  readonly sense: 'at most' | 'at least'
  /** Times the base. */
  readonly times: number
  readonly of: Base
}

/** One number of one repeat. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: 'ms' | '/s' | 's' | 'MB' | 'x' | 'us' | 'ns' | ''
  readonly target?: Target
}

/** One repeat of a scenario. */
export interface Repeat {
  readonly raw: RawFigures
  readonly figures: readonly Figure[]
}

/** One figure over all repeats: medians of the values and of the ratios (not the ratio of medians). */
export interface Finding {
  readonly name: string
  readonly unit: Figure['unit']
  readonly value: number
  readonly values: readonly number[]
  readonly target?: Target & { readonly ratio: number; readonly ratios: readonly number[]; readonly met: boolean }
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryMB: number
  readonly loadAverage: number
  readonly platform: string
  readonly node: string
  /** The commit, with `+` where the checkout has changes; `unknown` outside a repository. */
  readonly revision: string
}

export interface ScenarioReport {
  readonly scenario: string
  readonly about: string
  readonly seconds: number
  readonly repeats: number
  readonly raw: { readonly syncedBatchMs: number; readonly roundTripMs: number }
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
  readonly met: boolean
}

export interface Report {
  readonly at: string
  readonly machine: Machine
  readonly scenarios: readonly ScenarioReport[]
  readonly met: boolean
}

export function baseOf(base: Base, raw: RawFigures): number {
  switch (base) {
    case 'synced batch':
      return raw.syncedPut.p50
    case 'round trip':
      return raw.roundTrip.p50
    case 'synced batch + round trip':
      return raw.syncedPut.p50 + raw.roundTrip.p50
    case '1 / synced batch':
      return 1_000 / raw.syncedPut.p50
    case 'absolute':
      return 1
  }
}

/** Whether a ratio meets its target. A figure that could not be measured (NaN) never does. */
export function meets(target: Target, ratio: number): boolean {
  return target.sense === 'at most' ? ratio <= target.times : ratio >= target.times
}

/** Every repeat must bring the same figures in the same order. */
export function summarise(repeats: readonly Repeat[]): Finding[] {
  const first = repeats[0]
  if (first === undefined) throw new RangeError('nothing was repeated')
  return first.figures.map((figure, at) => {
    const values = repeats.map((repeat) => {
      const same = repeat.figures[at]
      if (same?.name !== figure.name) throw new Error(`a repeat lacks the figure "${figure.name}"`)
      return same.value
    })
    const { name, unit, target } = figure
    if (target === undefined) return { name, unit, value: median(values), values }
    const ratios = repeats.map((repeat, i) => values[i]! / baseOf(target.of, repeat.raw))
    const ratio = median(ratios)
    return {
      name,
      unit,
      value: median(values),
      values,
      target: { ...target, ratio, ratios, met: meets(target, ratio) },
    }
  })
}

export function scenarioReport(
  about: { scenario: string; about: string; seconds: number; notes: readonly string[] },
  repeats: readonly Repeat[],
): ScenarioReport {
  const findings = summarise(repeats)
  return {
    ...about,
    repeats: repeats.length,
    raw: {
      syncedBatchMs: median(repeats.map((r) => r.raw.syncedPut.p50)),
      roundTripMs: median(repeats.map((r) => r.raw.roundTrip.p50)),
    },
    findings,
    met: findings.every((f) => f.target?.met ?? true),
  }
}

/** Three significant figures, and thousands set apart. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return 'not measured'
  const rounded = Number(value.toPrecision(3))
  const decimals = rounded === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))))
  return rounded.toLocaleString('en-US', { minimumFractionDigits: 0, maximumFractionDigits: decimals })
}

const BASE_TEXT: Record<Base, string> = {
  'synced batch': 'x synced batch',
  'round trip': 'x round trip',
  'synced batch + round trip': 'x (synced batch + round trip)',
  '1 / synced batch': 'x (1 / synced batch)',
  absolute: '',
}

function rowOf(finding: Finding): string[] {
  const value = `${readable(finding.value)} ${finding.unit}`.trim()
  const { target } = finding
  if (target === undefined) return [finding.name, value, '', '', '']
  const ratio = `${readable(target.ratio)} ${BASE_TEXT[target.of]}`.trim()
  return [finding.name, value, ratio, `${target.sense} ${target.times}`, target.met ? 'pass' : 'FALLS SHORT']
}

/** Columns padded to their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd()).join('\n')
}

export function machineText(machine: Machine): string {
  const { cpu, cores, memoryMB, platform, node, revision, loadAverage } = machine
  return `${cores} x ${cpu}, ${readable(memoryMB)} MB, ${platform}, node ${node}, revision ${revision}, load ${loadAverage.toFixed(1)}`
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

/** The report as a page: a table for each scenario. */
export function reportMarkdown(report: Report): string {
  const parts = report.scenarios.map((scenario) => {
    const { raw } = scenario
    const rows = [
      ['figure', 'median', 'ratio', 'target', ''],
      ['---', '---', '---', '---', '---'],
    ]
    return [
      `## ${scenario.scenario}: ${scenario.about}`,
      '',
      `${scenario.repeats} x ${scenario.seconds} s. Synced batch ${readable(raw.syncedBatchMs)} ms, round trip ${readable(raw.roundTripMs)} ms (p50 of the same run).`,
      '',
      ...[...rows, ...scenario.findings.map(rowOf)].map(markdownRow),
      '',
      ...scenario.notes.map((note) => `- ${note}`),
    ].join('\n')
  })
  return `# Figures of ${report.at.slice(0, 10)}\n\n${machineText(report.machine)}\n\n${parts.join('\n\n')}\n`
}

export function scenarioText(report: ScenarioReport): string {
  const { raw } = report
  const rows = [['figure', 'median', 'ratio', 'target', ''], ...report.findings.map(rowOf)]
  return [
    `${report.scenario}: ${report.about}`,
    `  ${report.repeats} x ${report.seconds} s; raw limits of this run: synced batch ${readable(raw.syncedBatchMs)} ms, round trip ${readable(raw.roundTripMs)} ms (p50)`,
    table(rows),
    ...report.notes.map((note) => `  ${note}`),
    '',
  ].join('\n')
}
