/**
 * Kills a real server with SIGKILL at random moments under load, starts it again over the same directory, and goes on:
 * round after round. Returns the recorded history and what each round had.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ChainedEvent,
  chainedFromFields,
  ERRORS,
  type HistoryFields,
  type LeaseView,
  OK,
  OP,
} from '@leasehold/protocol'
import { RawSession } from '../support/rawsession.js'
import { ServerProcess } from '../support/serverprocess.js'
import type { KillHistory } from './history.js'
import { KillClient, Over, Player, rivalLife, seeded, soloLife } from './players.js'
import { Recorder } from './recorder.js'

const CLIENTS = 4
const SOLOS = 8
const RIVALS = 3
const RIVAL_NAMES = 2
const LOOKS_MAX = 200
const ROUND_MS_MAX = 30_000

export interface RoundsOptions {
  readonly rounds: number
  readonly seed: number
  readonly dataPath: string
  readonly acknowledgedMin: number
  readonly program?: readonly string[]
}

export interface Round {
  readonly acknowledged: number
  /** Requests without an answer at the moment of the kill. */
  readonly unanswered: number
  /** From the start of the process to its first greeting. */
  readonly startMs: number
}

export interface Killed {
  readonly history: KillHistory
  readonly rounds: readonly Round[]
}

export async function killRounds(options: RoundsOptions): Promise<Killed> {
  const random = seeded(options.seed)
  const recorder = new Recorder()
  const clients = Array.from({ length: CLIENTS }, (_, i) => new KillClient(`client-${i}`, i + 1))
  const lives = play(clients, recorder, random)
  const rounds: Round[] = []
  const program = options.program === undefined ? {} : { program: options.program }
  let server: ServerProcess | null = null
  try {
    for (let number = 0; number < options.rounds; number++) {
      const startedMs = recorder.now()
      server = await ServerProcess.start({ dataPath: options.dataPath, ...program })
      const startMs = recorder.now() - startedMs
      if (number > 0) await look(server.url, recorder)
      const before = recorder.acknowledged
      await Promise.all(clients.map((client) => client.connect(server!.url)))
      const unanswered = await killUnderLoad(server, clients, recorder, before + options.acknowledgedMin, random)
      rounds.push({ acknowledged: recorder.acknowledged - before, unanswered, startMs })
    }
    for (const client of clients) client.over()
    await lives
    server = await ServerProcess.start({ dataPath: options.dataPath, ...program })
    await look(server.url, recorder)
    const history = recorder.history(await wholeAudit(server.url))
    await server.end('SIGTERM')
    return { history, rounds }
  } finally {
    for (const client of clients) client.over()
    await server?.end('SIGKILL')
    await lives
  }
}

/** All lives at once; resolves when each has ended. Rejects with the first that ended for another reason than the end. */
async function play(clients: readonly KillClient[], recorder: Recorder, random: () => number): Promise<void> {
  const lives: Promise<never>[] = []
  const player = (client: KillClient, holder: string, ttlMs: number): Player =>
    new Player({ client, recorder, random: seeded(Math.floor(random() * 2 ** 31)), holder, ttlMs })
  for (const client of clients) {
    for (let i = 0; i < SOLOS; i++) {
      // Short ones end by themselves now and then while the server is away.
      const ttlMs = i % 4 === 0 ? 400 : 10_000
      lives.push(soloLife(player(client, `${client.name}/solo-${i}`, ttlMs), `kill/${client.name}/${i}`))
    }
  }
  for (let n = 0; n < RIVAL_NAMES; n++) {
    const holders = clients.flatMap((client) =>
      Array.from({ length: RIVALS }, (_, i) => `${client.name}/rival-${n}-${i}`),
    )
    for (const holder of holders) {
      const client = clients.find(({ name }) => holder.startsWith(`${name}/`))!
      lives.push(rivalLife(player(client, holder, 1_500), `kill/rivals/${n}`, holders))
    }
  }
  const ends = await Promise.allSettled(lives)
  for (const end of ends) if (end.status === 'rejected' && !(end.reason instanceof Over)) throw end.reason
}

/** Waits for enough acknowledgements, then for a random moment with requests under way, and kills. */
async function killUnderLoad(
  server: ServerProcess,
  clients: readonly KillClient[],
  recorder: Recorder,
  enough: number,
  random: () => number,
): Promise<number> {
  const endMs = recorder.now() + ROUND_MS_MAX
  const owed = (): number => clients.reduce((sum, client) => sum + client.pending, 0)
  while (recorder.acknowledged < enough) {
    if (recorder.now() > endMs) throw new Error(`only ${recorder.acknowledged} of ${enough} acknowledgements in time`)
    await sleep(2)
  }
  await sleep(random() * 80)
  while (owed() === 0) await sleep(0)
  const unanswered = owed()
  process.kill(server.pid, 'SIGKILL')
  await server.exited
  return unanswered
}

/** Reads the names that were used last, as the new process has them. */
async function look(url: string, recorder: Recorder): Promise<void> {
  const session = await RawSession.connect(url, 'reader', 'e'.repeat(32))
  const names = [...new Set(recorder.asked.slice(-LOOKS_MAX * 10).map(({ name }) => name))].slice(-LOOKS_MAX)
  const sentMs = recorder.now()
  await Promise.all(
    names.map(async (name) => {
      const { code, fields } = await session.send(OP.get, [name]).last
      if (code !== OK && code !== ERRORS.LEASE_NOT_FOUND.wire) throw new Error(`get ${name}: ${code} ${fields}`)
      const view = code === OK ? (fields[0] as LeaseView) : null
      recorder.looks.push({ name, token: view?.[2] ?? null, sentMs, answeredMs: recorder.now() })
    }),
  )
  session.terminate()
}

async function wholeAudit(url: string): Promise<ChainedEvent[]> {
  const session = await RawSession.connect(url, 'reader', 'e'.repeat(32))
  const events: ChainedEvent[] = []
  let cursor: string | null = null
  do {
    const { code, fields } = await session.send(OP.history, [null, null, cursor, 1_000]).last
    if (code !== OK) throw new Error(`history: ${code} ${fields}`)
    const [page, next] = fields as unknown as HistoryFields
    for (const one of page) events.push(chainedFromFields(one))
    cursor = next
  } while (cursor !== null)
  session.terminate()
  return events
}
