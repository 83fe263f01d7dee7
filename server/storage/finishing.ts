/**
 * The last steps of a directory that is made out of what another one held: the entries that are left are applied, and one more of a new
 * term, which raises the fencing tokens above all that were ever granted and makes the configuration this member alone. All of it is
 * in the checkpoint, hence committed. Only then does the directory count as formed.
 */
import {
  type AuditEvent,
  type AuditSeq,
  type ClusterMs,
  type Command,
  type Configuration,
  clusterMs,
  type FencingToken,
  fencingToken,
  INTERNAL_OP,
  LIMITS,
  type LogIndex,
  logIndex,
  peerIdOf,
  run,
  type Term,
  term,
  wallMs,
} from '@leasehold/protocol'
import type { Entry, StoredTable } from '../machine/index.js'
import type { Disk, Volume } from '../ports/index.js'
import { FORMAT, IDENTITY_FILE } from './files.js'
import type { NewIdentity } from './forming.js'
import { encodeIdentity, type IdentityRecord } from './identity.js'
import { FIRST_LIVE, KIND, LIVE_KEY, plainKey } from './keys.js'
import { verifyLiveRows } from './liverows.js'
import type { Marker } from './marker.js'
import { StorageRefusal } from './refusal.js'
import { wrapRow } from './rows.js'
import { SideFile, sideOf } from './sidefile.js'
import type { Store } from './store.js'
import { VolumeStore } from './volumestore.js'

/** The state machine, as far as a recovery needs it. A fresh one for each attempt. */
export interface RecoveryMachine {
  readonly tables: readonly StoredTable[]
  loaded(): void
  apply(entry: Entry): { readonly events: readonly AuditEvent[] }
  readonly timeMs: ClusterMs
  readonly audit: { readonly last: AuditSeq }
  /** Null before any was configured. */
  readonly configuration: Configuration | null
  readonly position: { readonly index: LogIndex; readonly term: Term; readonly token: FencingToken }
}

/** Who the directory is from now on, and how it goes on. */
export interface NewBeginning {
  readonly identity: NewIdentity
  /** For the audit. */
  readonly wallMs: number
  readonly machine: () => RecoveryMachine
  /** HOST:PORT at which others will reach this member, as the configuration says it. */
  readonly peerAddress: string
}

export interface Begun {
  /** No token below it is granted from now on. */
  readonly tokenFloor: number
  /** The entry that raises it: the last one, and the checkpoint. */
  readonly index: number
}

/** Of what may have been seen and is not in the state. */
export interface Floors {
  readonly token: number
  readonly term: number
  readonly timeMs: number
}

const NO_FLOORS: Floors = { token: 0, term: 0, timeMs: 0 }

export function unfinished(identity: NewIdentity): IdentityRecord {
  return { ...identity, format: FORMAT.version, state: 'unfinished', tokenFloor: 0 }
}

/**
 * `volume` holds the rows that `marker` speaks of, under the first live prefix, and `entries` follow its log. Closes the disk. Throws Damage,
 * or StorageRefusal; the directory is unfinished then.
 */
export async function finishDirectory(
  disk: Disk,
  volume: Volume,
  marker: Marker,
  entries: AsyncIterable<readonly Entry[]>,
  beginning: NewBeginning,
  floors: Floors = NO_FLOORS,
): Promise<Begun> {
  const machine = beginning.machine()
  const identity = unfinished(beginning.identity)
  let failed: (error: Error) => void = () => {}
  await SideFile.create(disk, sideOf(marker))
  const { side } = await SideFile.open(disk)
  let store: VolumeStore | null = null
  try {
    const rows = await verifyLiveRows(volume, FIRST_LIVE, marker, machine.tables)
    store = new VolumeStore({ disk, volume, side, identity, rows, fatal: (error) => failed(error) })
    const opened = store
    const flush = (): Promise<void> =>
      new Promise((resolve, reject) => {
        failed = reject
        opened.flush(resolve)
      })
    machine.loaded()
    const begun = await goOn(store, machine, entries, beginning, floors, flush)
    await form(volume, identity, begun.tokenFloor)
    await store.close()
    const formed = { ...identity, state: 'formed' as const, tokenFloor: begun.tokenFloor }
    await disk.replaceFile(IDENTITY_FILE, encodeIdentity(formed))
    return begun
  } finally {
    await (store ?? side).close()
  }
}

/** Applies what is left, and the entry with which the new cluster begins. */
async function goOn(
  store: Store,
  machine: RecoveryMachine,
  entries: AsyncIterable<readonly Entry[]>,
  beginning: NewBeginning,
  floors: Floors,
  flush: () => Promise<void>,
): Promise<Begun> {
  await replay(store, machine)
  const { lastIndex, lastTimeMs, terms, hardState } = store.recovered
  let end: Pick<Entry, 'index' | 'term' | 'timeMs'> = { index: lastIndex, term: terms.at(-1)!.term, timeMs: lastTimeMs }
  for await (const chunk of entries) {
    store.stageEntries(chunk)
    for (const entry of chunk) store.stageEvents(machine.apply(entry).events)
    await flush()
    end = chunk.at(-1) ?? end
  }
  const tokenFloor = Math.max(machine.position.token, floors.token) + LIMITS.restoredTokenGap
  if (tokenFloor > LIMITS.tokenMax) throw new StorageRefusal('DAMAGED', 'The fencing tokens are used up.')
  const entry = firstEntry(end, tokenFloor, machine.timeMs, beginning, floors)
  store.stageHardState({ term: term(Math.max(entry.term, hardState.term)), votedFor: null })
  store.stageEntries([entry])
  store.stageEvents(machine.apply(entry).events)
  store.stageCheckpoint(entry.index, entry.timeMs)
  await flush()
  return { tokenFloor, index: entry.index }
}

async function replay(store: Store, machine: RecoveryMachine): Promise<void> {
  const { checkpointIndex, lastIndex } = store.recovered
  if (checkpointIndex >= lastIndex) return
  for await (const chunk of store.entries(logIndex(checkpointIndex + 1), lastIndex)) {
    for (const entry of chunk) store.stageEvents(machine.apply(entry).events)
  }
}

function firstEntry(
  end: Pick<Entry, 'index' | 'term' | 'timeMs'>,
  tokenFloor: number,
  timeMs: ClusterMs,
  beginning: NewBeginning,
  floors: Floors,
): Entry {
  return {
    term: term(Math.max(end.term, floors.term) + 1),
    index: logIndex(end.index + 1),
    timeMs: clusterMs(Math.max(end.timeMs, timeMs, floors.timeMs)),
    wallMs: wallMs(beginning.wallMs),
    member: beginning.identity.memberId,
    run: run(0),
    batch: 0,
    commands: [{ op: INTERNAL_OP.raiseTokens, floor: fencingToken(tokenFloor) }, alone(beginning)],
  }
}

function alone({ identity, peerAddress }: NewBeginning): Command {
  const peer = peerIdOf(identity.memberId, identity.directoryId)
  const configuration = { voters: [peer], outgoing: [], learners: [], addresses: { [peer]: peerAddress } }
  return { op: INTERNAL_OP.configure, configuration }
}

/** Names the live rows and whose they are: opening finds them from now on, once the identity file agrees. */
async function form(volume: Volume, identity: IdentityRecord, tokenFloor: number): Promise<void> {
  const key = plainKey(FIRST_LIVE, KIND.identity)
  const formed = encodeIdentity({ ...identity, state: 'formed', tokenFloor })
  const batch = volume.batch()
  batch.put(LIVE_KEY, wrapRow(LIVE_KEY, Uint8Array.of(FIRST_LIVE)))
  batch.put(key, wrapRow(key, formed))
  await batch.commit()
}
