/**
 * The clients of a chaos run, in a process of their own: `node load.js CONFIG` where CONFIG is JSON. It says how far it
 * is four times a second, a line of JSON each; at SIGTERM it writes the whole history to the file and ends.
 */
import { writeFileSync } from 'node:fs'
import { Over, seeded } from '../kill/players.js'
import { Recorder } from '../kill/recorder.js'
import { ChaosClient } from './client.js'
import { type ChaosHistory, type ChaosLook, PREFIX, REGISTER_TTL_MS } from './history.js'
import { Life, leaseLife, registerLife, rivalLife } from './lives.js'
import { Takers } from './takers.js'
import type { Take } from './takes.js'

export interface LoadConfig {
  readonly urls: readonly string[]
  readonly seed: number
  readonly file: string
}

/** A line of what it says. */
export interface LoadSays {
  /** Acknowledged changes of each client. */
  readonly acknowledged: readonly number[]
}

export interface LoadFile extends ChaosHistory {
  readonly takes: readonly Take[]
  /** Decisions of members that were never heard of, and denials. */
  readonly undecided: number
  readonly denied: number
  /** Why a life ended early; nothing else may end one than the end of the run. */
  readonly died: readonly string[]
}

const CLIENTS = 6
const SAY_EVERY_MS = 250
const SHARED_NAMES = 3
const REGISTERS = 3
const RIVAL_NAMES = 2
export const LEASE_TTL_MS = 1_000
/** Of names of one's own: some short, which end by themselves during an outage, and some long. */
export const OWN_TTL_MS = { short: 500, long: 20_000 } as const
const RIVAL_TTL_MS = 1_500

/** The ttl that a name's leases have. */
export function ttlMsOf(name: string): number {
  if (name.startsWith(PREFIX.register)) return REGISTER_TTL_MS
  if (name.startsWith(PREFIX.rival)) return RIVAL_TTL_MS
  if (name.includes('/shared-')) return LEASE_TTL_MS
  return name.includes('/short-') ? OWN_TTL_MS.short : OWN_TTL_MS.long
}

function run({ urls, seed, file }: LoadConfig): void {
  const random = seeded(seed)
  const recorders = Array.from({ length: CLIENTS }, () => new Recorder())
  const looks: ChaosLook[] = []
  const died: string[] = []
  const clients = recorders.map((_, i) => {
    const own = seeded(Math.floor(random() * 2 ** 31))
    return new ChaosClient({ name: `client-${i}`, number: i + 1, urls, random: own })
  })
  const takers = new Takers(urls)
  const lives = [...clients.flatMap((client, i) => livesOf(client, recorders[i]!, looks, random)), ...takers.lives()]
  for (const life of lives) {
    life.catch((error: unknown) => {
      if (!(error instanceof Over)) died.push(String(error))
    })
  }
  const say = setInterval(() => {
    const says: LoadSays = { acknowledged: recorders.map(({ acknowledged }) => acknowledged) }
    process.stdout.write(`${JSON.stringify(says)}\n`)
  }, SAY_EVERY_MS)
  process.once('SIGTERM', () => {
    clearInterval(say)
    const asked = recorders.flatMap((recorder) => recorder.asked)
    const { takes, unknown, denied } = takers
    const all: LoadFile = { asked, looks, takes, undecided: unknown, denied, died: [...died] }
    writeFileSync(file, JSON.stringify(all))
    for (const client of clients) client.over()
    process.exit(0)
  })
}

function livesOf(client: ChaosClient, recorder: Recorder, looks: ChaosLook[], random: () => number): Promise<never>[] {
  const lifeAs = (holder: string, name: string): Life => {
    const own = seeded(Math.floor(random() * 2 ** 31))
    return new Life({ client, recorder, looks, random: own, holder, ttlMs: ttlMsOf(name) })
  }
  const all: Promise<never>[] = []
  for (const kind of ['short', 'long']) {
    const name = `${PREFIX.lease}${client.name}/${kind}-0`
    all.push(leaseLife(lifeAs(`${client.name}/${kind}`, name), name))
  }
  for (let n = 0; n < SHARED_NAMES; n++) {
    const name = `${PREFIX.lease}all/shared-${n}`
    all.push(leaseLife(lifeAs(`${client.name}/shared-${n}`, name), name))
  }
  for (let n = 0; n < REGISTERS; n++) {
    const name = `${PREFIX.register}${n}`
    all.push(registerLife((turn) => lifeAs(`${client.name}/register-${n}/${turn}`, name), name))
  }
  for (let n = 0; n < RIVAL_NAMES; n++) {
    const name = `${PREFIX.rival}${n}`
    const rivals = Array.from({ length: CLIENTS }, (_, i) => `client-${i}/rival-${n}`)
    all.push(rivalLife(lifeAs(`${client.name}/rival-${n}`, name), name, rivals))
  }
  return all
}

if (process.argv[1] === import.meta.filename) run(JSON.parse(process.argv[2]!) as LoadConfig)
