/** `leasehold serve`: one member, until it is told to stop. */
import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import type { ServerTelemetry } from '../http/index.js'
import type { Telemetry } from '../ports/index.js'
import { type Address, parseAddress } from './address.js'
import { CliError, command, EXIT, type Io } from './command.js'
import { readDuration } from './formats.js'
import { memberFlags, peerListenFlag } from './memberflags.js'
import { type Peering, peeringFaults, peeringOf } from './peering.js'
import type { RunningServer } from './server.js'
import { version } from './version.js'

/** A clean shutdown takes no longer; what is not done by then is cut off. */
const CLOSE_MS_MAX = 4_800
/**
 * The heap is collected once it has grown by so much. Left to itself the engine decides by how fast it is at it, and the same
 * million leases take 740 MB in one run and 990 in the next.
 */
const HEAP_GROWTH_PERCENT = 60
/** Ctrl-C under npm arrives twice: once from the terminal, once from npm. A second signal so soon is no second wish. */
const SAME_WISH_MS = 1_000
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

export const serve = command({
  name: 'serve',
  summary: 'run a server',
  operands: [],
  configurable: true,
  longRunning: true,
  flags: {
    ...memberFlags({
      name: "this member's name; a data directory belongs to one name",
      data: 'where everything is kept; made if it is missing',
    }),
    listen: {
      type: 'string',
      format: 'address',
      value: 'HOST:PORT',
      env: 'LEASEHOLD_LISTEN',
      default: '127.0.0.1:7420',
      help: 'where clients come in; port 0 takes a free one',
    },
    advertise: {
      type: 'string',
      format: 'url',
      value: 'URL',
      env: 'LEASEHOLD_ADVERTISE',
      help: 'where clients reach this member, for others to tell them (default: http:// and what it listens on)',
    },
    'peer-listen': peerListenFlag,
    cluster: {
      type: 'string',
      format: 'cluster',
      value: 'NAME=HOST:PORT,...',
      env: 'LEASEHOLD_CLUSTER',
      help: 'all members and where they listen for each other; a new cluster is formed once all of them are there',
    },
    insecure: {
      type: 'boolean',
      env: 'LEASEHOLD_INSECURE',
      help: 'listen on other addresses than loopback although there is no TLS and no access control yet',
    },
    'audit-age': {
      type: 'string',
      format: 'duration',
      value: 'DURATION',
      env: 'LEASEHOLD_AUDIT_AGE',
      help: 'how long the history is kept (default: 168h)',
    },
    'audit-bytes': {
      type: 'integer',
      min: 1_048_576,
      value: 'BYTES',
      env: 'LEASEHOLD_AUDIT_BYTES',
      help: 'how large the history may grow (default: 1 GiB)',
    },
    'disk-low-bytes': {
      type: 'integer',
      min: 0,
      value: 'BYTES',
      env: 'LEASEHOLD_DISK_LOW_BYTES',
      help: 'with less room on the disk nothing that grows is taken (default: 128 MiB)',
    },
    'log-level': {
      type: 'string',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      value: 'LEVEL',
      env: 'LEASEHOLD_LOG_LEVEL',
      default: 'info',
      help: 'how much to tell',
    },
    'log-format': {
      type: 'string',
      choices: ['json', 'text', 'auto'],
      value: 'FORMAT',
      env: 'LEASEHOLD_LOG_FORMAT',
      default: 'auto',
      help: 'auto: text on a terminal, JSON lines elsewhere',
    },
    config: {
      type: 'string',
      value: 'FILE',
      env: 'LEASEHOLD_CONFIG',
      help: 'a JSON file with these settings, by the names of the flags',
    },
  },
  faults: peeringFaults,
  notes: [
    'TERM and INT end it cleanly: no new work, what was accepted is finished and written down, exit code 0 within 5 s.',
    'Exits 1, and says what to do, when it cannot start; 70 when it cannot go on (a failed write, for one).',
  ],
  async run({ settings, io }) {
    const address = parseAddress(settings.listen)
    process.stdout.on('error', () => undefined)
    // Started with a channel, by `dev`: whoever holds the other end is this server's reason to run.
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
    process.channel?.unref()
    const telemetry = await telemetryOf(settings, io)
    const die = (error: unknown) => fail(error, telemetry, io)
    process.on('uncaughtException', die)
    process.on('unhandledRejection', die)
    // Before it serves there is nothing to finish.
    const leave = () => process.exit(EXIT.done)
    for (const signal of STOP_SIGNALS) process.on(signal, leave)
    const server = await start(settings, address, peeringOf(settings), telemetry, die)
    stopOnSignal(server, telemetry)
    for (const signal of STOP_SIGNALS) process.off(signal, leave)
    // Not before: while the state is read in, nearly all of the heap is here to stay, and collections would be in vain.
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
    telemetry.log('info', 'serving', { url: server.url, data: settings.data, pid: process.pid })
    return new Promise<never>(() => undefined)
  },
})

/** Only a server needs the libraries behind this, and those behind `start`. */
async function telemetryOf(settings: Record<'name' | 'log-level' | 'log-format', string>, io: Io) {
  const { ServerTelemetry } = await import('../http/telemetry.js')
  const { createLogger } = await import('./logger.js')
  const format = settings['log-format'] === 'auto' ? (process.stdout.isTTY ? 'text' : 'json') : settings['log-format']
  const level = settings['log-level']
  return new ServerTelemetry(createLogger({ level, format, memberId: settings.name, write: io.out }))
}

interface Wish {
  readonly name: string
  readonly data: string
  readonly advertise: string | undefined
  readonly 'audit-age': string | undefined
  readonly 'audit-bytes': number | undefined
  readonly 'disk-low-bytes': number | undefined
}

async function start(
  wish: Wish,
  address: Address,
  peering: Peering,
  telemetry: ServerTelemetry,
  fatal: (error: unknown) => never,
) {
  const { startServer, ListenError, PeeringError } = await import('./server.js')
  const { StorageRefusal } = await import('../storage/index.js')
  try {
    return await startServer({
      memberId: wish.name,
      dataPath: wish.data,
      address,
      peering,
      version: version(),
      telemetry,
      fatal,
      ...(wish.advertise !== undefined && { advertise: wish.advertise }),
      ...(wish['audit-age'] !== undefined && { auditAgeMs: readDuration(wish['audit-age']) }),
      ...(wish['audit-bytes'] !== undefined && { auditBytes: wish['audit-bytes'] }),
      ...(wish['disk-low-bytes'] !== undefined && { diskLowBytes: wish['disk-low-bytes'] }),
    })
  } catch (error) {
    if (error instanceof PeeringError) throw new CliError(EXIT.refused, about(wish.data, error.message))
    if (error instanceof ListenError) throw new CliError(EXIT.refused, error.message)
    if (error instanceof StorageRefusal) throw new CliError(EXIT.refused, about(wish.data, error.message))
    throw error
  }
}

/** Says which directory is meant, where the message does not. */
function about(path: string, message: string): string {
  return message.includes(path) ? message : `${path}: ${message}`
}

/** A signal ends the process: exit code 0 after a clean shutdown, 1 after one that took too long or failed. */
function stopOnSignal(server: RunningServer, telemetry: Telemetry): void {
  closeWithGrace(
    {
      delay: CLOSE_MS_MAX,
      logger: false,
      skip: ['uncaughtException', 'unhandledRejection', 'beforeExit'],
      onTimeout: (ms) => telemetry.log('error', 'not stopped in time', { ms }),
    },
    async ({ signal }) => {
      oneWish()
      telemetry.log('info', 'stopping', { signal })
      try {
        await server.close()
      } catch (error) {
        telemetry.log('error', 'not stopped cleanly', { reason: (error as Error).message })
        throw error
      }
      telemetry.log('info', 'stopped')
    },
  )
}

/** From here on only a signal after SAME_WISH_MS ends the process early. */
function oneWish(): void {
  const startedMs = performance.now()
  for (const signal of STOP_SIGNALS) {
    process.removeAllListeners(signal)
    process.on(signal, () => {
      if (performance.now() - startedMs > SAME_WISH_MS) process.exit(EXIT.refused)
    })
  }
}

/** Nothing more is answered, and nothing tidied up: what was acknowledged is on disk, and the next start recovers it. */
function fail(error: unknown, telemetry: Telemetry, io: Io): never {
  const message = error instanceof Error ? error.message : String(error)
  telemetry.log('error', 'fatal', { reason: message, stack: error instanceof Error ? error.stack : undefined })
  io.err(`leasehold: cannot go on: ${message}\n`)
  process.exit(EXIT.fatal)
}
