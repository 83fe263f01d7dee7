/**
 * `npm run check-history -- --model NAME [--steps N] [--seconds S] FILE`: judges a recorded history for linearizability.
 * Exit code 0 it is, 1 it is not, 2 the input is bad, 3 it could not be told within the bounds.
 */
import { readFile, stat } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { judge } from './check.js'
import { pairUp } from './history.js'
import { type Fault, LINES_BYTES_MAX, readLines } from './lines.js'
import { MODELS } from './models.js'

const EXIT = { linearizable: 0, 'not linearizable': 1, 'bad input': 2, unknown: 3 } as const
const STEPS_DEFAULT = 5_000_000
const SECONDS_DEFAULT = 120
const MOST = 1_000_000_000

interface Wish {
  readonly model: string
  readonly stepsMax: number
  readonly seconds: number
  readonly file: string
}

function wishOf(args: string[]): Wish | string {
  const text = { type: 'string' } as const
  let parsed: ReturnType<typeof parse>
  const parse = () => parseArgs({ args, allowPositionals: true, options: { model: text, steps: text, seconds: text } })
  try {
    parsed = parse()
  } catch (error) {
    return (error as Error).message
  }
  const { values, positionals } = parsed
  const { model = '', steps = String(STEPS_DEFAULT), seconds = String(SECONDS_DEFAULT) } = values
  if (!Object.hasOwn(MODELS, model)) return `--model must be one of ${Object.keys(MODELS).join(', ')}`
  const bad = [steps, seconds].find((given) => !/^[1-9]\d*$/.test(given) || Number(given) > MOST)
  if (bad !== undefined) return `${JSON.stringify(bad)} is no whole number from 1 to ${MOST}`
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) return 'name one file'
  return { model, stepsMax: Number(steps), seconds: Number(seconds), file }
}

async function main(): Promise<number> {
  const wish = wishOf(process.argv.slice(2))
  if (typeof wish === 'string') {
    console.error(`${wish}\nusage: npm run check-history -- --model NAME [--steps N] [--seconds S] FILE`)
    return EXIT['bad input']
  }
  let bytes: Uint8Array
  try {
    const { size } = await stat(wish.file)
    if (size > LINES_BYTES_MAX) throw new RangeError(`a history has at most ${LINES_BYTES_MAX} bytes, not ${size}`)
    bytes = await readFile(wish.file)
  } catch (error) {
    console.error(`${wish.file}: ${(error as Error).message}`)
    return EXIT['bad input']
  }
  return check(bytes, wish)
}

function check(bytes: Uint8Array, { model: name, stepsMax, seconds, file }: Wish): number {
  const model = MODELS[name]!
  const startMs = performance.now()
  let read: ReturnType<typeof readLines>
  try {
    read = readLines(bytes)
  } catch (error) {
    console.error(`${file}: ${(error as Error).message}`)
    return EXIT['bad input']
  }
  const { history, faults } = pairUp(read.lines, model)
  if (read.faults.length + faults.length > 0) return complain([...read.faults, ...faults])
  if (history.operations === 0) return complain([{ line: 1, says: 'the history is empty' }])
  const over = () => performance.now() - startMs > seconds * 1_000
  const { verdict, bad, unknown, steps, reasons } = judge(model, history, { stepsMax, over })
  for (const line of reasons) console.log(line)
  if (bad.length > 0) console.log(`not linearizable: ${named(bad)}`)
  if (unknown.length > 0) console.log(`given up within the bounds (--steps, --seconds): ${named(unknown)}`)
  const took = ((performance.now() - startMs) / 1_000).toFixed(1)
  const { operations, failed, unknown: open, byKey } = history
  console.log(
    `${operations} operations (${failed} failed, ${open} of unknown outcome) on ${counted(byKey.size, 'key')}, ${steps} steps, ${took} s`,
  )
  console.log(verdict)
  return EXIT[verdict]
}

const KEYS_NAMED_MAX = 100

function named(keys: readonly string[]): string {
  if (keys[0] === '') return 'the history'
  const more = keys.length > KEYS_NAMED_MAX ? ' ...' : ''
  return `${counted(keys.length, 'key')}: ${keys.slice(0, KEYS_NAMED_MAX).join(' ')}${more}`
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** Every line that is not as it should be, by its number. */
function complain(faults: readonly Fault[]): number {
  const all = [...faults].sort((a, b) => a.line - b.line)
  console.error(all.map(({ line, says }) => `line ${line}: ${says}`).join('\n'))
  console.error(`bad input: ${counted(all.length, 'complaint')}`)
  return EXIT['bad input']
}

process.exitCode = await main()
