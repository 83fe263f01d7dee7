/**
 * What a command is: its flags and operands as data (from which parsing, checks and help are made), and a function that
 * runs it and returns the exit code. A command never calls process.exit and never prints but through `Io`.
 */
import type { FormatName } from './formats.js'

/** Exit codes of every command but `run`, which keeps its child's (and adds 75 and 76), and `serve` (which adds 70). */
export const EXIT = { done: 0, refused: 1, usage: 2, unavailable: 3, fatal: 70 } as const

export interface Flag {
  readonly type: 'string' | 'boolean' | 'integer'
  /** Of a string: it may be given more than once, on the command line alone, and its setting is all of them. */
  readonly many?: true
  /** What a string must look like. */
  readonly format?: FormatName
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Stands for the value in the help. */
  readonly value?: string
  /** The environment variable that gives it when the flag is absent. */
  readonly env?: string
  readonly default?: string | number | boolean
  readonly help: string
}
export type Flags = Readonly<Record<string, Flag>>

export interface Operand {
  readonly name: string
  readonly format?: FormatName
  readonly optional?: boolean
}

type ValueOf<F extends Flag> = F['type'] extends 'boolean'
  ? boolean
  : F['type'] extends 'integer'
    ? number
    : F extends { many: true }
      ? readonly string[]
      : string

/** Settings by flag name. Booleans are always there, and what may be given more than once is; others may be absent where they have no default. */
export type Settings<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends { default: string | number | boolean } | { type: 'boolean' } | { many: true }
    ? ValueOf<F[K]>
    : ValueOf<F[K]> | undefined
}

/** What a command may read and write. `out` takes results, `err` everything said to a person. */
export interface Io {
  out(text: string): void
  err(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether results go to a terminal that shows colours. */
  readonly color: boolean
  /** Fires at SIGINT and SIGTERM; commands that wait stop waiting. */
  readonly signal: AbortSignal
}

export type Setting = string | number | boolean | readonly string[] | undefined

export interface Call<S> {
  readonly settings: S
  /** As many as the command has operands; absent optional ones are ''. */
  readonly operands: readonly string[]
  /** What follows `--`. */
  readonly rest: readonly string[]
  readonly io: Io
}

interface Description {
  readonly name: string
  readonly summary: string
  readonly operands: readonly Operand[]
  /** Takes `-- CMD [ARG...]`. */
  readonly takesCommand?: boolean
  readonly flags: Flags
  /** Flags that must be given, by flag, environment or file. */
  readonly needs?: readonly string[]
  /** What of the settings does not go together, one sentence each, once every one of them has its format. */
  readonly faults?: (settings: Readonly<Record<string, Setting>>) => readonly string[]
  /** Takes its flags also from a JSON file named by `--config`, and refuses unknown LEASEHOLD_ variables. */
  readonly configurable?: boolean
  /** Handles signals, and a standard output that nobody reads any more, by itself. */
  readonly longRunning?: boolean
  readonly notes?: readonly string[]
}

/** A command as those see it who list and start commands. */
export interface Command extends Description {
  run(call: Call<Readonly<Record<string, Setting>>>): Promise<number>
}

interface Definition<F extends Flags> extends Omit<Description, 'faults'> {
  readonly flags: F
  readonly faults?: (settings: Settings<F>) => readonly string[]
  readonly needs?: readonly (keyof F & string)[]
  run(call: Call<Settings<F>>): Promise<number>
}

/** Gives `run` its settings by the flags' own types; config.ts has checked them by the same flags. */
export function command<const F extends Flags>(definition: Definition<F>): Command {
  return definition as unknown as Command
}

/** Ends a command with one clear line on stderr and this exit code. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number
  /** The body of the server's answer, which `--json` prints. */
  readonly body: unknown
  constructor(exitCode: number, message: string, body?: unknown) {
    super(message)
    this.exitCode = exitCode
    this.body = body
  }
}

/** Everything that is wrong with a command line and its environment, at once. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}
