/**
 * `leasehold run NAME -- CMD`: holds a lease around a command. The one place that renews without being asked, because
 * the command is what uses the lease, and it is here watched instead. The command never outlives the lease knowingly.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Client, Lease } from '@leasehold/client'
import { command, type Io } from './command.js'
import { connectionFlags, whoami, wishFlags } from './connection.js'
import { readDuration, readUrls } from './formats.js'
import { type Stage, Supervisor } from './supervise.js'

/** From sysexits.h EX_TEMPFAIL, and the next one; what shells say about commands that cannot be run. */
const EXIT_RUN = { notAcquired: 75, lost: 76, notExecutable: 126, notFound: 127, signalled: 128 } as const
/** Passed on to the command. Not STOP and KILL, which nobody can pass on. */
const FORWARDED: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
]
/** These also end the wait for the lease. */
const ENDING: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
/** So long may what the command left behind in its process group go on, before it is killed and the lease released. */
const LEFTOVERS_MS = 2_000
const LEFTOVERS_LOOK_MS = 20
/** A lease that cannot be given back ends by itself. */
const RELEASE_MS_MAX = 2_000

export const run = command({
  name: 'run',
  summary: 'hold a lease around a command',
  operands: [{ name: 'NAME', format: 'name' }],
  takesCommand: true,
  longRunning: true,
  flags: {
    ...wishFlags,
    url: connectionFlags.url,
    client: connectionFlags.client,
  },
  notes: [
    'The command finds LEASEHOLD_TOKEN, LEASEHOLD_NAME, LEASEHOLD_HOLDER and LEASEHOLD_URL in its environment.',
    'The lease is renewed while the command lives. When renewals fail, its process group is told to end (TERM) with a',
    'quarter of the ttl left, and killed at a tenth. Signals are passed on.',
    "Exits with the command's own code (128 + n for signal n); 75: not acquired, 76: lost, 126 and 127: cannot be run.",
  ],
  async run({ settings, operands: [name = ''], rest, io }) {
    const holder = settings.holder ?? whoami()
    // The other commands do not load it.
    const { createClient } = await import('@leasehold/client')
    const client = createClient({ endpoints: readUrls(settings.url), name: settings.client ?? whoami() })
    const ear = new Ear()
    try {
      const ttlMs = readDuration(settings.ttl, 'ttl')
      const waitMs = readDuration(settings.wait, 'wait')
      const lease = await acquire(client, name, { ttlMs, waitMs, holder, priority: settings.priority }, ear, io)
      if (lease === null) return EXIT_RUN.notAcquired
      const environment = {
        LEASEHOLD_TOKEN: String(lease.token),
        LEASEHOLD_NAME: name,
        LEASEHOLD_HOLDER: holder,
        LEASEHOLD_URL: settings.url,
      }
      return await around(lease, ttlMs, rest, environment, ear, io)
    } finally {
      ear.close()
      await client.close()
    }
  },
})

/** Hears signals from beginning to end, so that none falls between the wait and the command. */
class Ear {
  heard: (signal: NodeJS.Signals) => void = () => undefined
  readonly #listener = (signal: NodeJS.Signals) => this.heard(signal)
  constructor() {
    for (const signal of FORWARDED) process.on(signal, this.#listener)
  }
  close(): void {
    for (const signal of FORWARDED) process.off(signal, this.#listener)
  }
}

interface Wish {
  readonly ttlMs: number
  readonly waitMs: number
  readonly holder: string
  readonly priority: number
}

/** Null, with the reason on stderr, where it cannot be had. A signal ends the wait. */
async function acquire(client: Client, name: string, wish: Wish, ear: Ear, io: Io): Promise<Lease | null> {
  const stop = new AbortController()
  ear.heard = (signal) => {
    if (ENDING.has(signal)) stop.abort(new Error(signal))
  }
  try {
    const { ttlMs, waitMs, holder, priority } = wish
    return await client.acquire(name, { ttl: ttlMs, wait: waitMs, holder, priority, signal: stop.signal })
  } catch (error) {
    const { LeaseholdError } = await import('@leasehold/client')
    if (!(error instanceof LeaseholdError)) throw error
    const why = stop.signal.aborted ? `interrupted by ${(stop.signal.reason as Error).message}` : error.message
    io.err(`leasehold: ${name} not acquired: ${why}\n`)
    return null
  }
}

async function around(
  lease: Lease,
  ttlMs: number,
  [file = '', ...args]: readonly string[],
  environment: Record<string, string>,
  ear: Ear,
  io: Io,
): Promise<number> {
  // Detached: a process group of its own, so that signals reach all of it and nothing else.
  const child = spawn(file, args, { stdio: 'inherit', detached: true, env: { ...io.env, ...environment } })
  const signalGroup = (signal: NodeJS.Signals | 0) => sendToGroup(child, signal)
  const supervisor = new Supervisor(lease, { signal: signalGroup }, ttlMs, (stage) => io.err(said(stage, lease)))
  ear.heard = (signal) => void signalGroup(signal)
  try {
    supervisor.start()
    const code = await ended(child, io)
    await leftovers(signalGroup, supervisor)
    const kept = supervisor.stage === 'held'
    supervisor.stop()
    // False: it had ended before the command did, and the news had not come yet.
    const released = await lease.release({ timeout: RELEASE_MS_MAX }).catch(() => true)
    if (kept && !released) io.err(`leasehold: ${lease.name} was lost before the command ended\n`)
    return kept && released ? code : EXIT_RUN.lost
  } finally {
    supervisor.stop()
  }
}

/** The command's exit code, as a shell would give it. */
function ended(child: ChildProcess, io: Io): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      io.err(`leasehold: ${error.message}\n`)
      resolve(error.code === 'ENOENT' ? EXIT_RUN.notFound : EXIT_RUN.notExecutable)
    })
    child.once('exit', (code, signal) => {
      resolve(code ?? EXIT_RUN.signalled + (constants.signals[signal ?? 'SIGKILL'] ?? 0))
    })
  })
}

/** Sends to the whole group; false where nobody is left in it. Signal 0 only asks. */
function sendToGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return false
  }
}

/** What the command left in its group would work on without a lease: it may finish for a moment, then it is killed. */
async function leftovers(signalGroup: (signal: NodeJS.Signals | 0) => boolean, supervisor: Supervisor): Promise<void> {
  const untilMs = performance.now() + LEFTOVERS_MS
  while (signalGroup(0)) {
    if (supervisor.stage === 'killed' || performance.now() > untilMs) {
      signalGroup('SIGKILL')
      return
    }
    await new Promise((resolve) => setTimeout(resolve, LEFTOVERS_LOOK_MS))
  }
}

function said(stage: Stage, lease: Lease): string {
  const did = stage === 'told' ? 'told the command to end (TERM)' : 'killed the command'
  const why = lease.lost === null ? `could not be renewed, ${lease.remainingMs()} ms left` : `is lost (${lease.lost})`
  return `leasehold: ${lease.name} ${why}: ${did}\n`
}
