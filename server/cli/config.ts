/**
 * From a command line, the environment and a configuration file to a command's settings: a flag goes over the
 * environment, that over the file, that over the default. Every source is checked whole, overridden values too, and all
 * that is wrong is named at once. Reads the file that `--config` names; otherwise pure.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import envSchema from 'env-schema'
import { type Command, type Flag, type Flags, type Setting, UsageError } from './command.js'
import { FORMATS, type FormatName, fault } from './formats.js'

type Env = Readonly<Record<string, string | undefined>>
type Values = Record<string, unknown>

export interface Settled {
  readonly settings: Readonly<Record<string, Setting>>
  readonly operands: readonly string[]
  readonly rest: readonly string[]
}

/** Every LEASEHOLD_ variable that some command reads or sets; an unknown one is most likely a misspelt one. */
const KNOWN_VARIABLES = new Set(['LEASEHOLD_URL', 'LEASEHOLD_TOKEN', 'LEASEHOLD_HOLDER', 'LEASEHOLD_CLIENT'])
/** What Kubernetes puts into a container's environment for a service named `leasehold`. */
const SERVICE_LINK = /^LEASEHOLD_(SERVICE_|PORT$|PORT_)/

/** Throws UsageError. */
export function settle(command: Command, argv: readonly string[], env: Env): Settled {
  const problems: string[] = []
  const line = readLine(command, argv, problems)
  const fromEnv = readEnv(command, env, problems)
  const path = command.configurable ? (line.values.config ?? fromEnv.config) : undefined
  const fromFile = typeof path === 'string' ? readFile(command, path, problems) : {}

  checkSource(command.flags, fromFile, (key) => `"${key}" in ${path}`, problems)
  checkSource(command.flags, fromEnv, (key) => command.flags[key]?.env ?? key, problems)
  checkSource(command.flags, line.values, (key) => `--${key}`, problems)
  for (const key of command.needs ?? []) {
    if ((line.values[key] ?? fromEnv[key] ?? fromFile[key]) === undefined) problems.push(`--${key}: is missing`)
  }
  if (problems.length > 0) throw new UsageError(problems)

  const settings: Record<string, Setting> = {}
  for (const [key, flag] of Object.entries(command.flags)) {
    const given = line.values[key] ?? fromEnv[key] ?? fromFile[key] ?? flag.default
    settings[key] = (given as Setting) ?? absent(flag)
  }
  const faults = command.faults?.(settings) ?? []
  if (faults.length > 0) throw new UsageError(faults)
  return { settings, operands: line.operands, rest: line.rest }
}

function absent(flag: Flag): Setting {
  if (flag.type === 'boolean') return false
  return flag.many ? [] : undefined
}

/** The command line, with everything wrong about its shape noted. Values are not judged here. */
function readLine(command: Command, argv: readonly string[], problems: string[]) {
  const options = Object.fromEntries(
    Object.entries(command.flags).map(([key, flag]) => [key, { type: flag.type === 'boolean' ? 'boolean' : 'string' }]),
  ) as Record<string, { type: 'boolean' | 'string' }>
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true })

  const values: Values = {}
  const given: string[] = []
  const rest: string[] = []
  let ended = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') ended = true
    else if (token.kind === 'positional') (ended ? rest : given).push(token.value)
    else {
      const flag = command.flags[token.name]
      if (flag === undefined || !token.rawName.startsWith('--')) {
        problems.push(`${token.rawName}: there is no such flag`)
      } else if (flag.type === 'boolean') {
        if (token.value !== undefined) problems.push(`--${token.name}: takes no value`)
        values[token.name] = true
      } else if (token.value === undefined || (!token.inlineValue && looksLikeFlag(token.value))) {
        problems.push(`--${token.name}: needs a value (${flag.value ?? 'VALUE'})`)
      } else if (flag.many) values[token.name] = [...((values[token.name] as string[]) ?? []), token.value]
      else values[token.name] = token.value
    }
  }
  const operands = readOperands(command, given, problems)
  if (rest.length > 0 && !command.takesCommand) problems.push(`-- ${rest[0]}: this command takes nothing after --`)
  if (!rest[0] && command.takesCommand) problems.push('-- CMD: the command to run is missing')
  return { values, operands, rest }
}

/** A negative number is a value (mostly a wrong one, and judged as such). */
function looksLikeFlag(value: string): boolean {
  return value.startsWith('-') && value.length > 1 && !/^-[0-9.]/.test(value)
}

function readOperands(command: Command, given: readonly string[], problems: string[]): string[] {
  const operands: string[] = []
  for (const [at, operand] of command.operands.entries()) {
    const value = given[at]
    if (value === undefined && !operand.optional) problems.push(`${operand.name}: is missing`)
    const wrong = value !== undefined && operand.format !== undefined ? fault(operand.format, value) : null
    if (wrong !== null) problems.push(`${operand.name} ${wrong}`)
    operands.push(value ?? '')
  }
  const surplus = given[command.operands.length]
  if (surplus !== undefined) {
    problems.push(`"${surplus}": ${command.takesCommand ? 'put -- before the command to run' : 'one operand too many'}`)
  }
  return operands
}

/** The environment's share. An empty variable counts as absent: that is how compose files and shells leave one out. */
function readEnv(command: Command, env: Env, problems: string[]): Values {
  const values: Values = {}
  const known = new Set(KNOWN_VARIABLES)
  for (const [key, flag] of Object.entries(command.flags)) {
    if (flag.env === undefined) continue
    known.add(flag.env)
    const value = env[flag.env]
    if (value === undefined || value === '') continue
    // Inside `leasehold run` this variable names the lease that is held, and no member.
    if (flag.env === 'LEASEHOLD_NAME' && env.LEASEHOLD_TOKEN !== undefined) continue
    values[key] = flag.type === 'boolean' ? readSwitch(value) : value
  }
  if (command.configurable) {
    for (const name of Object.keys(env)) {
      if (!name.startsWith('LEASEHOLD_') || known.has(name) || SERVICE_LINK.test(name)) continue
      problems.push(`${name}: there is no such environment variable`)
    }
  }
  return values
}

function readSwitch(value: string): boolean | string {
  if (value === '1' || value === 'true') return true
  return value === '0' || value === 'false' ? false : value
}

function readFile(command: Command, path: string, problems: string[]): Values {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    problems.push(`--config ${path}: ${(error as Error).message}`)
    return {}
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    problems.push(`--config ${path}: expects one JSON object`)
    return {}
  }
  const values: Values = {}
  for (const [key, value] of Object.entries(parsed)) {
    if (key === 'config' || !Object.hasOwn(command.flags, key))
      problems.push(`"${key}" in ${path}: there is no such key`)
    else values[key] = value
  }
  return values
}

/** Judges one source by the schema of the flags; env-schema turns texts into numbers and booleans in `values` on the way. */
function checkSource(flags: Flags, values: Values, label: (key: string) => string, problems: string[]): void {
  const properties = Object.fromEntries(Object.keys(values).map((key) => [key, schemaOf(flags[key]!)]))
  // Mostly: a validator costs more than a command does.
  if (Object.keys(properties).length === 0) return
  try {
    const schema = { type: 'object', properties }
    Object.assign(values, envSchema({ schema, data: values, env: false, ajv: { customOptions: addFormats } }))
  } catch (error) {
    const errors = (error as { errors?: { instancePath: string }[] }).errors
    if (errors === undefined) throw error
    const seen = new Set<string>()
    for (const { instancePath } of errors) {
      const [, key = '', at] = instancePath.split('/')
      if (seen.has(key)) continue
      seen.add(key)
      problems.push(
        `${label(key)} ${explain(flags[key]!, at === undefined ? values[key] : (values[key] as unknown[])[Number(at)])}`,
      )
    }
  }
}

/** Typed by shape: the validator behind env-schema is not this package's to import. */
function addFormats<V extends { addFormat(name: string, check: (text: string) => boolean): unknown }>(validator: V): V {
  for (const name of Object.keys(FORMATS) as FormatName[]) {
    validator.addFormat(name, (text) => fault(name, text) === null)
  }
  return validator
}

function schemaOf(flag: Flag): Record<string, unknown> {
  if (flag.type === 'boolean') return { type: 'boolean' }
  if (flag.type === 'integer') {
    return { type: 'integer', minimum: flag.min ?? 0, maximum: flag.max ?? Number.MAX_SAFE_INTEGER }
  }
  if (flag.choices) return { type: 'string', enum: flag.choices }
  const text = { type: 'string', minLength: 1, ...(flag.format && { format: flag.format }) }
  return flag.many ? { type: 'array', items: text } : text
}

function explain(flag: Flag, value: unknown): string {
  const got = `got ${JSON.stringify(value)}`
  if (flag.type === 'boolean') return `expects true or false, ${got}`
  if (flag.type === 'integer') {
    return `expects a whole number from ${flag.min ?? 0} to ${flag.max ?? Number.MAX_SAFE_INTEGER}, ${got}`
  }
  if (typeof value !== 'string') return `expects a text, ${got}`
  if (flag.choices) return `expects one of ${flag.choices.join(', ')}, ${got}`
  if (value === '') return 'must not be empty'
  return (flag.format && fault(flag.format, value)) ?? `cannot be ${JSON.stringify(value)}`
}
