#!/usr/bin/env node
/** The `leasehold` command: finds the command, settles its settings, runs it, and turns its failure into one line. */
import { CliError, type Command, EXIT, type Io, UsageError } from './command.js'
import { commands } from './commands.js'
import { settle } from './config.js'
import { helpOf, overview } from './help.js'
import { version } from './version.js'

async function main(argv: readonly string[]): Promise<number> {
  const first = argv[0]
  if (first === '--version') return say(`leasehold ${version()}\n`)
  if (first === '--help' || first === '-h' || first === 'help') return help(argv.slice(1))
  const found = find(argv)
  if (found === null) {
    const what = first === undefined ? 'which command?' : `there is no command "${argv.slice(0, 2).join(' ')}"`
    process.stderr.write(`leasehold: ${what}\n\n${overview(commands)}`)
    return EXIT.usage
  }
  const { command, rest } = found
  const asked = rest.indexOf('--') < 0 ? rest : rest.slice(0, rest.indexOf('--'))
  if (asked.includes('--help') || asked.includes('-h')) return say(helpOf(command))
  return runCommand(command, rest)
}

async function runCommand(command: Command, argv: readonly string[]): Promise<number> {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  if (!command.longRunning) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
    // A reader that has seen enough (`| head`) is no failure.
    process.stdout.on('error', () => process.exit(EXIT.done))
  }
  const io: Io = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    color: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
    signal: stop.signal,
  }
  let json = false
  try {
    const { settings, operands, rest } = settle(command, argv, process.env)
    json = settings.json === true
    return await command.run({ settings, operands, rest, io })
  } catch (error) {
    if (error instanceof UsageError) {
      for (const problem of error.problems) io.err(`leasehold: ${problem}\n`)
      io.err(`Try "leasehold help ${command.name}".\n`)
      return EXIT.usage
    }
    if (!(error instanceof CliError)) throw error
    if (json && error.body !== undefined) io.out(`${JSON.stringify(error.body)}\n`)
    io.err(`leasehold: ${error.message}\n`)
    return error.exitCode
  }
}

/** By its two words, else by its one. */
function find(argv: readonly string[]): { command: Command; rest: readonly string[] } | null {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const command = argv.length >= words ? commands.find((candidate) => candidate.name === name) : undefined
    if (command !== undefined) return { command, rest: argv.slice(words) }
  }
  return null
}

function help(words: readonly string[]): number {
  const found = find(words)
  if (found !== null) return say(helpOf(found.command))
  const group = commands.filter((command) => command.name.split(' ')[0] === words[0])
  return say(overview(group.length > 0 ? group : commands))
}

function say(text: string): number {
  process.stdout.write(text)
  return EXIT.done
}

process.exitCode = await main(process.argv.slice(2))
