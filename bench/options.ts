/** The bench's command line. All that is wrong is named at once. Pure. */
import { parseArgs } from 'node:util'
import { BENCH } from './limits.js'

export interface Options {
  readonly scenario: string
  readonly seconds: number
  /** Undefined: the scenario's own number. */
  readonly repeats: number | undefined
  /** Servers of a cluster. Undefined: the scenario's own number. */
  readonly members: number | undefined
  readonly json: string | undefined
  readonly markdown: string | undefined
  /** Where CPU profiles of both sides are written. */
  readonly profile: string | undefined
  /** Exit 1 when a target is missed. */
  readonly assert: boolean
  /** Divides the sizes of `million` and `expire`: for trying them out. Targets are not judged then. */
  readonly shrink: number
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function usage(scenarios: readonly (readonly [string, string])[], apart: readonly string[]): string {
  return [
    'Usage: npm run bench -- SCENARIO [--seconds S] [--repeats N] [--json FILE] [--markdown FILE] [--members 1 or 3] [--assert] [--profile DIR] [--shrink N]',
    '',
    ...scenarios.map(([name, about]) => `  ${name.padEnd(8)} ${about}`),
    `  all      every one of them, in this order, but for ${apart.join(', ')}`,
    '',
    `--seconds S    measured seconds of each load (default ${BENCH.secondsDefault}); half as much goes before as warm-up, for contend as much`,
    `--repeats N    runs of the scenario, each beside the raw limits; medians are reported (default ${BENCH.repeats}; million, expire and those that all leaves out 1 or 3)`,
    '--json FILE    writes the report there as well',
    '--markdown FILE  the same, as tables',
    '--members N    servers of a cluster, 1 or 3 (default 1; those that all leaves out 3)',
    '--assert       exit code 1 when a target is missed',
    '--profile DIR  CPU profiles of the driver and the server, and their top functions (the figures are then not representative)',
    '--shrink N     sizes of million and expire divided by N, to try them out; their targets then mean little',
  ].join('\n')
}

function numberOf(text: string | undefined, flag: string, bounds: [number, number, boolean], problems: string[]) {
  if (text === undefined) return undefined
  const [min, max, whole] = bounds
  const value = /^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value
  problems.push(`--${flag}: expects ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}, got "${text}"`)
  return undefined
}

const FLAGS = {
  seconds: { type: 'string' },
  repeats: { type: 'string' },
  json: { type: 'string' },
  markdown: { type: 'string' },
  members: { type: 'string' },
  profile: { type: 'string' },
  shrink: { type: 'string' },
  assert: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** Returns null when help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[], scenarios: readonly string[]): Options | null {
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options: FLAGS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  if (values.help === true) return null
  const problems: string[] = []
  const text = (flag: keyof typeof FLAGS): string | undefined => {
    const value = values[flag]
    if (value === true || value === '') problems.push(`--${flag}: needs a value`)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  for (const token of tokens)
    if (token.kind === 'option' && !(token.name in FLAGS)) problems.push(`${token.rawName}: there is no such flag`)

  const [scenario, ...more] = positionals
  if (scenario === undefined) problems.push('SCENARIO is missing')
  else if (scenario !== 'all' && !scenarios.includes(scenario)) problems.push(`there is no scenario "${scenario}"`)
  if (more.length > 0) problems.push(`one scenario at a time, got also "${more.join(' ')}"`)
  const members = text('members')
  if (members !== undefined && members !== '1' && members !== '3')
    problems.push(`--members: expects 1 or 3, got "${members}"`)
  if (typeof values.assert === 'string') problems.push('--assert: takes no value')

  const seconds = numberOf(text('seconds'), 'seconds', [0.1, BENCH.secondsMax, false], problems)
  const repeats = numberOf(text('repeats'), 'repeats', [1, BENCH.repeatsMax, true], problems)
  const shrink = numberOf(text('shrink'), 'shrink', [1, 10_000, true], problems)
  const json = text('json')
  const markdown = text('markdown')
  const profile = text('profile')
  if (problems.length > 0) throw new UsageError(problems.join('\n'))
  return {
    scenario: scenario!,
    seconds: seconds ?? BENCH.secondsDefault,
    repeats,
    members: members === undefined ? undefined : Number(members),
    json,
    markdown,
    profile,
    assert: values.assert === true,
    shrink: shrink ?? 1,
  }
}
