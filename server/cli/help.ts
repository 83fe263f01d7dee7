/** The help texts, made from the commands themselves, so that they cannot say anything else than what is parsed. Pure. */
import type { Command, Flag, Operand } from './command.js'

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => usage(command).length))
  const lines = commands.map((command) => `  ${usage(command).padEnd(width)}  ${command.summary}`)
  return [
    'usage: leasehold COMMAND [FLAGS]',
    '',
    ...lines,
    '',
    '"leasehold help COMMAND" shows the flags of a command. Durations: 250ms, 10s, 1.5m, 2h.',
    'Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no answer, or not able to answer now.',
    '',
  ].join('\n')
}

export function helpOf(command: Command): string {
  const flags = Object.entries(command.flags)
  const heads = flags.map(([key, flag]) => (flag.type === 'boolean' ? `--${key}` : `--${key} ${flag.value ?? 'VALUE'}`))
  const width = Math.max(0, ...heads.map((head) => head.length))
  const lines = flags.map(([, flag], at) => `  ${heads[at]?.padEnd(width)}  ${describe(flag)}`)
  return [
    `usage: leasehold ${usage(command)}${flags.length > 0 ? (command.takesCommand ? '   (flags before --)' : ' [FLAGS]') : ''}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...(command.notes ?? []),
    ...(lines.length > 0 ? ['', ...lines] : []),
    '',
  ].join('\n')
}

function usage(command: Command): string {
  const operands = command.operands.map(shown)
  return [command.name, ...operands, ...(command.takesCommand ? ['-- CMD [ARG...]'] : [])].join(' ')
}

function shown({ name, optional }: Operand): string {
  return optional ? `[${name}]` : name
}

function describe(flag: Flag): string {
  const extras = [
    ...(flag.choices ? [flag.choices.join(' | ')] : []),
    ...(flag.default === undefined || flag.default === '' ? [] : [`default ${flag.default}`]),
    ...(flag.env === undefined ? [] : [flag.env]),
  ]
  return extras.length > 0 ? `${flag.help} [${extras.join('; ')}]` : flag.help
}
