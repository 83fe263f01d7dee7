/** Finds the command that a line names, settles its settings, runs it, and turns its failure into one line and an exit code. */
import { CliError, type Command, EXIT, type Io, UsageError } from './command.js'
import { commands } from './commands.js'
import { settle } from './config.js'
import { helpOf, overview } from './help.js'
import { version } from './version.js'

/** The exit code. Never throws what a person could have caused. */
export async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const first = argv[0]
  if (first === '--version') return say(`leasehold ${version()}\n`, io)
  if (first === '--help' || first === '-h' || first === 'help') return help(argv.slice(1), io)
  const found = find(argv)
  if (found === null) {
    const what = first === undefined ? 'which command?' : `there is no command "${argv.slice(0, 2).join(' ')}"`
    io.err(`leasehold: ${what}\n\n${overview(commands)}`)
    return EXIT.usage
  }
  const { command, rest } = found
  const asked = rest.indexOf('--') < 0 ? rest : rest.slice(0, rest.indexOf('--'))
  if (asked.includes('--help') || asked.includes('-h')) return say(helpOf(command), io)
  return run(command, rest, io)
}

/** The command that these words begin with, by two words or by one, and what follows. */
export function find(argv: readonly string[]): { command: Command; rest: readonly string[] } | null {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const command = argv.length >= words ? commands.find((candidate) => candidate.name === name) : undefined
    if (command !== undefined) return { command, rest: argv.slice(words) }
  }
  return null
}

async function run(command: Command, argv: readonly string[], io: Io): Promise<number> {
  let json = false
  try {
    const { settings, operands, rest } = settle(command, argv, io.env)
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

function help(words: readonly string[], io: Io): number {
  const found = find(words)
  if (found !== null) return say(helpOf(found.command), io)
  const group = commands.filter((command) => command.name.split(' ')[0] === words[0])
  return say(overview(group.length > 0 ? group : commands), io)
}

function say(text: string, io: Io): number {
  io.out(text)
  return EXIT.done
}
