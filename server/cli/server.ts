/**
 * One member, wired: the disk, the store, the machine, the log, the replica and the HTTP interface, opened in this order
 * and closed in the other. Must never answer before it has recovered, nor leave anything open behind when it cannot start.
 */
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { memberOf, peerIdOf } from '@leasehold/protocol'
import type { ServerTelemetry } from '../http/index.js'
import { Machine } from '../machine/index.js'
import { answerAsFormed, Door, TcpTransport } from '../peers/index.js'
import { createQuotas } from '../quota/index.js'
import { RaftLog, type RetentionOptions, Shell } from '../replica/index.js'
import { backupBytes, HEADROOM, Headroom, openStore, type Store } from '../storage/index.js'
import type { Address } from './address.js'
import { realClock } from './clock.js'
import { addressText } from './clusterlist.js'
import { factsOf, formAlone, formTogether, introduction, isEmpty, type Together, whoIsAt } from './forming.js'
import { LevelDisk } from './leveldisk.js'
import { Lobby } from './lobby.js'
import { watchLoop } from './loopstall.js'
import { ALONE, type Peering } from './peering.js'
import { realRandom } from './random.js'

/** A member that stops waits so long at most until what it has not spent is back. */
const GIVE_BACK_MS_MAX = 1_000

export interface ServerConfig {
  readonly memberId: string
  readonly dataPath: string
  readonly address: Address
  /** Where clients reach this member, where that is elsewhere. */
  readonly advertise?: string
  /** Left out: this member is alone. */
  readonly peering?: Peering
  readonly version: string
  readonly telemetry: ServerTelemetry
  /** The audit is kept so long, and no larger; defaults are the replica's. */
  readonly auditAgeMs?: number
  readonly auditBytes?: number
  /** With less room on the disk nothing that grows is taken; the default is storage's. */
  readonly diskLowBytes?: number
  /** The server cannot go on (a failed write, a hung disk): nothing it said is in doubt, but the process must end. */
  readonly fatal: (error: Error) => void
}

export interface RunningServer {
  /** Where clients reach it. */
  readonly url: string
  /** No new work; what was accepted is finished and written down. Safe to call twice. */
  close(): Promise<void>
}

/** Thrown where the address cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Thrown where the other members cannot be reached as this one was started. */
export class PeeringError extends Error {
  override readonly name = 'PeeringError'
}

/** Resolves once it serves. Throws StorageRefusal (the directory) or ListenError (the address). */
export async function startServer(config: ServerConfig): Promise<RunningServer> {
  const open: (() => Promise<void>)[] = []
  const closeAll = async () => {
    for (let close = open.pop(); close !== undefined; close = open.pop()) await close()
  }
  try {
    const url = await opened(config, (close) => void open.push(close))
    let closing: Promise<void> | null = null
    const close = () => {
      closing ??= closeAll()
      return closing
    }
    return { url, close }
  } catch (error) {
    await closeAll().catch(() => undefined)
    throw error
  }
}

/** Opens one thing after the other, telling how each is closed. Resolves with where clients reach it. */
async function opened(config: ServerConfig, closing: (close: () => Promise<void>) => void): Promise<string> {
  const { memberId, telemetry, fatal, peering = ALONE } = config
  // Before the directory is touched: a port in use should not leave a new directory behind.
  const lobby = new Lobby(config.address)
  await lobby.open().catch(cannotListen(config.address, '--listen'))
  closing(() => lobby.close())
  const machine = new Machine()
  const disk = new LevelDisk(config.dataPath)
  closing(() => disk.close())
  const shared = { clock: realClock, random: realRandom, telemetry, memberId }
  const door = await openDoor(peering, telemetry)
  if (door !== null) closing(() => door.close())
  const together = togetherOf(config, door, lobby)
  const empty = await isEmpty(disk)
  // Whoever is refused goes on to another member at once; who is let in to one that recovers would wait for it.
  if (!empty && config.address.port !== 0) await lobby.close()
  // The longest part of a start besides recovery, which goes on meanwhile; a member that waits for others has it behind it by then.
  const loading = import('../http/index.js')
  if (empty) {
    if (together === null) await formAlone(disk, memberId, peering.advertised, realRandom)
    else await formTogether(disk, together)
    lobby.say('starting')
  }
  const store: Store = await openStore(disk, { tables: machine.tables, fatal, memberId })
  closing(() => store.close())
  for (const notice of store.recovered.notices) telemetry.log('warn', 'damage found', { notice })
  const log = new RaftLog({ store, fatal, ...(await linksOf(store, machine, door, together, lobby)), ...shared })
  const { createHttp } = await loading
  const replica = new Shell({
    ...{ log, store, machine, fatal, headroom: headroomOf(store, config) },
    ...{ url: advertisedUrl(config, lobby.address), peerUrl: door === null ? '' : peering.advertised },
    ...retentionOf(config),
    ...shared,
  })
  closing(() => replica.close())
  const quotas = createQuotas({ replica, ...shared })
  closing(() => quotas.close(realClock.monotonicMs() + GIVE_BACK_MS_MAX))
  const http = await createHttp({
    replica,
    quotas,
    info: { version: config.version, ...(config.advertise !== undefined && { url: config.advertise }) },
    metrics: telemetry,
    backup: async () => Readable.from(backupBytes(await store.snapshot()), { objectMode: false }),
    ...(door !== null && { whoIsAt: (at: string) => whoIsAt(store, door, at) }),
    ...shared,
  })
  closing(async () => void (await http.close()))
  watchStalls(telemetry, closing)
  // With everything loaded and made: links to others go down where the loop stands still for long.
  await replica.start()
  await lobby.close()
  await http.listen(lobby.address).catch(cannotListen(config.address, '--listen'))
  return urlOf(http.server.address() as AddressInfo)
}

function watchStalls(telemetry: ServerTelemetry, closing: (close: () => Promise<void>) => void): void {
  const stall = watchLoop()
  closing(async () => stall.close())
  telemetry.beforeReading(() => telemetry.gauge('loop_stall_seconds', stall.take()))
}

/** What forms a cluster with others; null for a server that is alone. */
function togetherOf({ memberId, peering = ALONE }: ServerConfig, door: Door | null, lobby: Lobby): Together | null {
  const { cluster } = peering
  if (door === null || cluster.length < 2) return null
  return { door, memberId, cluster, random: realRandom, waiting: (what) => lobby.say(`forming: ${what}`) }
}

function headroomOf(store: Store, { diskLowBytes: lowBytes = HEADROOM.lowBytes }: ServerConfig): Headroom {
  const enoughBytes = lowBytes + (HEADROOM.enoughBytes - HEADROOM.lowBytes)
  return new Headroom(() => store.freeBytes(), { lowBytes, enoughBytes })
}

function retentionOf({ auditAgeMs, auditBytes }: ServerConfig): RetentionOptions {
  return { ...(auditAgeMs !== undefined && { auditAgeMs }), ...(auditBytes !== undefined && { auditBytes }) }
}

/** The port for other members, open; null for a server that is alone. Throws ListenError. */
async function openDoor({ listen }: Peering, telemetry: ServerTelemetry): Promise<Door | null> {
  if (listen === null) return null
  const door = new Door({ listen, clock: realClock, telemetry })
  await door.open().catch(cannotListen(listen, '--peer-listen'))
  return door
}

/** How the log reaches the other members: not at all in a server that is alone. Throws PeeringError where it must and cannot. */
async function linksOf(store: Store, machine: Machine, door: Door | null, together: Together | null, lobby: Lobby) {
  const { identity } = store.recovered
  const { clusterId, memberId, directoryId } = identity
  const self = peerIdOf(memberId, directoryId)
  if (door === null) {
    const others = Object.keys(machine.configuration?.addresses ?? {}).filter((peer) => peer !== self)
    if (others.length === 0) return { transport: null }
    throw new PeeringError(
      `this directory belongs to a cluster with ${others.map(memberOf).join(' and ')}: ` +
        'say where they reach this member (--peer-listen, or --cluster)',
    )
  }
  const facts = await factsOf(store, machine)
  door.answerAsk = answerAsFormed(self, facts)
  const transport = new TcpTransport({ self, clusterId, door, random: realRandom })
  // Of one that was stopped while it caught up, or was removed, the members that it knows may all be gone by now.
  if (together === null || facts().names.includes(self)) return { transport }
  lobby.say('joining: waiting for a member whose cluster names this directory')
  await lobby.open().catch(cannotListen(lobby.address, '--listen'))
  return { transport, introduced: await introduction(store, together) }
}

/** Where clients reach this member, as far as it can know; '' where it cannot. */
function advertisedUrl({ advertise }: ServerConfig, listening: Address): string {
  if (advertise !== undefined) return advertise
  const anywhere = listening.host === '0.0.0.0' || listening.host === '::'
  return anywhere ? '' : `http://${addressText(listening)}`
}

const cannotListen = (address: Address, flag: string) => (error: NodeJS.ErrnoException) => {
  throw listenError(address, error, flag)
}

function listenError(address: Address, error: NodeJS.ErrnoException, flag: string): ListenError {
  const at = addressText(address)
  const what: Record<string, string> = {
    EADDRINUSE: `${at} is in use: end the process that listens there, or choose another address (${flag})`,
    EACCES: `${at} may not be listened on by this user: choose a port from 1024 on (${flag})`,
    EADDRNOTAVAIL: `${at} is no address of this machine: choose another one (${flag})`,
    ENOTFOUND: `${address.host} is no known host: choose another address (${flag})`,
  }
  return new ListenError(what[error.code ?? ''] ?? `cannot listen on ${at}: ${error.message}`, { cause: error })
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
