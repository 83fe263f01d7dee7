/**
 * One member, wired: the disk, the store, the machine, the log, the replica and the HTTP interface, opened in this order
 * and closed in the other. Must never answer before it has recovered, nor leave anything open behind when it cannot start.
 */
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { ServerTelemetry } from '../http/index.js'
import { Machine } from '../machine/index.js'
import type { Disk, Random } from '../ports/index.js'
import { createReplica, RaftLog, type RetentionOptions } from '../replica/index.js'
import { directoryState, formDirectory, openStore, type Store } from '../storage/index.js'
import type { Address } from './address.js'
import { realClock } from './clock.js'
import { LevelDisk } from './leveldisk.js'
import { watchLoop } from './loopstall.js'
import { realRandom } from './random.js'

const CLUSTER_ID_BYTES = 8
const DIRECTORY_ID_BYTES = 8

export interface ServerConfig {
  readonly memberId: string
  readonly dataPath: string
  readonly address: Address
  readonly version: string
  readonly telemetry: ServerTelemetry
  /** The audit is kept so long, and no larger; defaults are the replica's. */
  readonly auditAgeMs?: number
  readonly auditBytes?: number
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

/** Resolves once it serves. Throws StorageRefusal (the directory) or ListenError (the address). */
export async function startServer(config: ServerConfig): Promise<RunningServer> {
  const { memberId, telemetry, fatal } = config
  // Before the directory is touched: a port in use should not leave a new directory behind.
  await probe(config.address)
  const open: (() => Promise<void>)[] = []
  const closeAll = async () => {
    for (let close = open.pop(); close !== undefined; close = open.pop()) await close()
  }
  try {
    const machine = new Machine()
    const disk = new LevelDisk(config.dataPath)
    open.push(() => disk.close())
    await formIfEmpty(disk, memberId, realRandom)
    const store: Store = await openStore(disk, { tables: machine.tables, fatal, memberId })
    open.push(() => store.close())
    for (const notice of store.recovered.notices) telemetry.log('warn', 'damage found', { notice })
    const shared = { clock: realClock, random: realRandom, telemetry, memberId }
    const log = new RaftLog({ store, transport: null, fatal, ...shared })
    const replica = await createReplica({ log, store, machine, fatal, ...retentionOf(config), ...shared })
    open.push(() => replica.close())
    const stall = watchLoop()
    open.push(async () => stall.close())
    telemetry.beforeReading(() => telemetry.gauge('loop_stall_seconds', stall.take()))
    // Only now: most of a start's time goes into loading this, and a directory that is refused needs none of it.
    const { createHttp } = await import('../http/index.js')
    const http = await createHttp({
      replica,
      info: { version: config.version },
      metrics: telemetry,
      ...shared,
    })
    open.push(async () => void (await http.close()))
    const { host, port } = config.address
    await http.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
      throw listenError(config.address, error)
    })
    const url = urlOf(http.server.address() as AddressInfo)
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

function retentionOf({ auditAgeMs, auditBytes }: ServerConfig): RetentionOptions {
  return { ...(auditAgeMs !== undefined && { auditAgeMs }), ...(auditBytes !== undefined && { auditBytes }) }
}

async function formIfEmpty(disk: Disk, memberId: string, random: Random): Promise<void> {
  if ((await directoryState(disk)) !== 'empty') return
  const id = (bytes: number) => Buffer.from(random.bytes(bytes)).toString('hex')
  await formDirectory(disk, { clusterId: id(CLUSTER_ID_BYTES), memberId, directoryId: id(DIRECTORY_ID_BYTES) })
}

/** Listens for a moment, and tells what stands in the way. */
function probe(address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, error)))
    server.listen(address.port, address.host, () => server.close(() => resolve()))
  })
}

function listenError({ host, port }: Address, error: NodeJS.ErrnoException): ListenError {
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const what: Record<string, string> = {
    EADDRINUSE: `${at} is in use: end the process that listens there, or choose another address (--listen)`,
    EACCES: `${at} may not be listened on by this user: choose a port from 1024 on (--listen)`,
    EADDRNOTAVAIL: `${at} is no address of this machine: choose another one (--listen)`,
    ENOTFOUND: `${host} is no known host: choose another address (--listen)`,
  }
  return new ListenError(what[error.code ?? ''] ?? `cannot listen on ${at}: ${error.message}`, { cause: error })
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
