/**
 * Starting over from what a damaged directory still holds: `leasehold recover --accept-loss`. It writes a new directory, and
 * never touches the damaged one. It lists what is lost, and raises the fencing tokens above anything that could have been
 * granted in what is lost, so that a holder from before is fenced off.
 *
 * A state that is not whole cannot be trusted to fit together: of such a one only the tables are kept whose rows stand
 * for themselves.
 */

import { type Configuration, memberOf, peersOf } from '@leasehold/protocol'
import type { Entry, StoredTable } from '../machine/index.js'
import type { Disk, Value, Volume } from '../ports/index.js'
import { NO_HASH } from './chain.js'
import { Digest } from './digest.js'
import { IDENTITY_FILE } from './files.js'
import { Filling } from './filling.js'
import { finishDirectory, type NewBeginning, type RecoveryMachine, unfinished } from './finishing.js'
import { emptyVolume } from './forming.js'
import { encodeIdentity } from './identity.js'
import { FIRST_LIVE, KIND, seqKey } from './keys.js'
import { emptyMarker, type Marker } from './marker.js'
import { asRefusal, StorageRefusal } from './refusal.js'
import { Salvage } from './salvage.js'
import { auditPlan, copyAudit } from './salvageaudit.js'

export interface LossOptions extends Omit<NewBeginning, 'identity'> {
  /** Of the new directory. */
  readonly directoryId: string
  /** Tables whose rows stand for themselves, and may be kept where others are lost. */
  readonly standalone: readonly string[]
}

export interface LossReport {
  /** One line each. */
  readonly lost: readonly string[]
  readonly kept: {
    readonly stateRows: number
    readonly logEntries: number
    readonly auditFirst: number
    readonly auditLast: number
  }
  /** No token below it is granted from now on. */
  readonly tokenFloor: number
}

type SalvagedEntry = { readonly entry: Entry; readonly value: Value; readonly hash: Uint8Array }

/** What is to be written. */
interface Plan {
  readonly tables: readonly string[]
  readonly rows: number
  readonly entries: readonly SalvagedEntry[]
  readonly base: number
  readonly baseTerm: number
  readonly baseMs: number
  readonly auditLast: number
  readonly position: { readonly index: number; readonly term: number; readonly token: number }
  readonly configuration: Configuration | null
  readonly timeMs: number
}

/**
 * Writes what `damaged` still holds into `fresh`, an empty directory. Throws StorageRefusal where not even that can be done.
 * Closes both.
 */
export async function acceptLoss(damaged: Disk, fresh: Disk, options: LossOptions): Promise<LossReport> {
  let salvage: Salvage | null = null
  try {
    salvage = await Salvage.open(damaged)
    return await rescue(salvage, fresh, options)
  } catch (error) {
    throw asRefusal(error)
  } finally {
    await salvage?.close()
    await damaged.close()
    await fresh.close()
  }
}

async function rescue(salvage: Salvage, fresh: Disk, options: LossOptions): Promise<LossReport> {
  const plan = await planOf(salvage, options)
  expectAlone(plan)
  const audit = await auditPlan(salvage, plan.auditLast)
  const newest = Math.max(plan.position.term, audit.term, salvage.marker?.term ?? 0, salvage.side?.term ?? 0, 1)
  const floors = {
    token: Math.max(audit.tokenMax, salvage.identity.tokenFloor),
    term: newest,
    timeMs: Math.max(audit.lastMs, salvage.marker?.log.lastTimeMs ?? 0),
  }
  const marker = emptyMarker()
  marker.term = newest
  const { clusterId, memberId } = salvage.identity
  const identity = { clusterId, memberId, directoryId: options.directoryId }
  await fresh.replaceFile(IDENTITY_FILE, encodeIdentity(unfinished(identity)))
  const volume = await emptyVolume(fresh)
  await copyState(salvage, volume, options.machine().tables, plan, marker)
  await copyAudit(salvage, volume, audit, marker)
  marker.checkpoint.auditSeq = marker.audit.last
  marker.checkpoint.auditHash = marker.audit.lastHash
  await writeLog(volume, plan, marker)
  const { first: auditFirst, last: auditLast } = marker.audit
  const kept = { stateRows: marker.checkpoint.rows, logEntries: plan.entries.length, auditFirst, auditLast }
  const { tokenFloor } = await finishDirectory(fresh, volume, marker, none(), { ...options, identity }, floors)
  return { lost: salvage.losses.all(), kept, tokenFloor }
}

/** One of several must not go on alone: the others hold what it lost, and more. */
function expectAlone({ configuration }: Plan): void {
  const peers = configuration === null ? [] : peersOf(configuration)
  if (peers.length <= 1) return
  const others = `This member is one of the ${peers.length} in its cluster (${peers.map(memberOf).join(', ')}).`
  throw new StorageRefusal('NOT_ALONE', others)
}

/** Finds the largest part that fits together, by trying it on a machine. */
async function planOf(salvage: Salvage, options: LossOptions): Promise<Plan> {
  const whole = options.machine()
  const state = await salvage.loadState(whole.tables)
  if (state.intact) return replayed(salvage, whole, whole.tables, state.rows)
  await salvage.listDamaged()
  const part = options.machine()
  const tables = part.tables.filter(({ name }) => options.standalone.includes(name))
  const { rows } = await salvage.loadState(tables)
  const named = salvage.marker?.checkpoint.rows
  salvage.losses.add(`The state is not whole: ${state.rows} of ${named ?? 'its'} rows verify, and some may be stale.`)
  salvage.losses.add(
    `Of it only ${rows} rows are kept, those of ${options.standalone.map((name) => `"${name}"`).join(', ')}.`,
  )
  return replayed(salvage, part, tables, rows)
}

/** Applies the log's salvaged end. Where it does not fit the state, it is given up. */
async function replayed(
  salvage: Salvage,
  machine: RecoveryMachine,
  tables: readonly StoredTable[],
  rows: number,
): Promise<Plan> {
  machine.loaded()
  const { marker, losses } = salvage
  const base = Math.max(machine.position.index, marker?.checkpoint.index ?? 0)
  const [baseMs, auditLast, baseTerm] = [machine.timeMs, machine.audit.last, machine.position.term]
  const entries = await salvage.entriesAfter(base)
  const applied: SalvagedEntry[] = []
  for (const found of entries) {
    try {
      machine.apply(found.entry)
      applied.push(found)
    } catch {
      break
    }
  }
  const last = base + applied.length
  if (marker !== null && last < marker.log.last) {
    losses.add(`The log entries ${last + 1} to ${marker.log.last} are lost, with all that they granted and ended.`)
  }
  if (marker === null) losses.add(`Whatever the log held after entry ${last} is lost.`)
  const { timeMs, position, configuration } = machine
  return {
    tables: tables.map(({ name }) => name),
    rows,
    entries: applied,
    base,
    baseTerm,
    baseMs,
    auditLast,
    position,
    configuration,
    timeMs,
  }
}

async function copyState(
  salvage: Salvage,
  volume: Volume,
  tables: readonly StoredTable[],
  plan: Plan,
  marker: Marker,
): Promise<void> {
  const kept = tables.filter(({ name }) => plan.tables.includes(name))
  const digest = new Digest()
  const filling = new Filling(volume)
  for await (const { key, value, mark } of salvage.stateRows(kept)) {
    digest.add(mark)
    await filling.putUnder(FIRST_LIVE, key, value)
  }
  await filling.end()
  const { rows, digestLow, digestHigh } = digest
  Object.assign(marker.checkpoint, {
    index: plan.base,
    term: plan.baseTerm,
    timeMs: plan.baseMs,
    rows,
    digestLow,
    digestHigh,
  })
}

async function writeLog(volume: Volume, plan: Plan, marker: Marker): Promise<void> {
  const filling = new Filling(volume)
  const { log } = marker
  log.first = plan.base + 1
  log.baseTerm = plan.baseTerm
  log.last = plan.base
  log.lastHash = NO_HASH
  for (const { entry, value, hash } of plan.entries) {
    await filling.put(seqKey(FIRST_LIVE, KIND.entry, entry.index), value)
    Object.assign(log, { last: entry.index, lastHash: hash })
  }
  await filling.end()
  const end = plan.entries.at(-1)?.entry
  Object.assign(log, { lastTerm: end?.term ?? plan.baseTerm, lastTimeMs: end?.timeMs ?? plan.baseMs })
}

async function* none(): AsyncGenerator<readonly Entry[]> {}
