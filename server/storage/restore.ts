/**
 * New clusters out of old ones: from a backup, or from the one directory that survived a lost majority. Both go the same way: a snapshot is
 * written into an empty directory and verified, whatever log is left is applied, and the directory begins anew as a cluster of one, under
 * names that no member of the old cluster answers to, with fencing tokens far above all that were granted.
 */
import { type LogIndex, logIndex } from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { Disk } from '../ports/index.js'
import { backupChunks } from './backup.js'
import { IDENTITY_FILE, OWNER_FILE } from './files.js'
import { type Begun, type Floors, finishDirectory, type NewBeginning, unfinished } from './finishing.js'
import { emptyVolume } from './forming.js'
import { decodeIdentity, encodeIdentity } from './identity.js'
import { FIRST_LIVE } from './keys.js'
import { openStore } from './recovery.js'
import { asRefusal, Damage, StorageRefusal } from './refusal.js'
import type { SnapshotHead } from './snapshothead.js'
import { Staging } from './staging.js'

export interface RestoreReport extends Begun {
  /** What the backup is of. */
  readonly head: SnapshotHead
}

export interface QuorumLossReport extends RestoreReport {
  /** What may be lost, and what may have been brought back, one line each. */
  readonly lost: readonly string[]
  /** Entries after the checkpoint that were kept. */
  readonly logEntries: number
}

/**
 * Restores a backup into an empty directory, or one in which a restore was cut short. Closes the disk. Throws StorageRefusal: BAD_COPY with what
 * is wrong with the backup, EXISTS where the directory holds something.
 */
export async function restoreBackup(
  disk: Disk,
  backup: AsyncIterable<Uint8Array>,
  beginning: NewBeginning,
): Promise<RestoreReport> {
  return begin(disk, backupChunks(backup), none(), beginning)
}

/**
 * Recovery from a lost majority: writes what `survivor` holds into `fresh`, an empty directory, as a cluster of one. The survivor is only read.
 * Nobody may start the old cluster's other members again. Closes both disks. Throws StorageRefusal.
 */
export async function recoverLostQuorum(
  survivor: Disk,
  fresh: Disk,
  beginning: NewBeginning,
): Promise<QuorumLossReport> {
  const { memberId } = beginning.identity
  let failure: Error | null = null
  const store = await openStore(survivor, {
    tables: beginning.machine().tables,
    memberId,
    fatal: (error) => {
      failure = error
    },
  }).catch(async (error) => {
    await fresh.close()
    throw error
  })
  try {
    const { checkpointIndex, lastIndex, hardState } = store.recovered
    const snapshot = await store.snapshot()
    const rest = lastIndex > checkpointIndex ? store.entries(logIndex(checkpointIndex + 1), lastIndex) : none()
    const floors = { token: 0, term: hardState.term, timeMs: 0 }
    const report = await begin(fresh, snapshot.chunks(), rest, beginning, floors)
    if (failure !== null) throw failure
    const logEntries = lastIndex - checkpointIndex
    return { ...report, lost: mayBeLost(checkpointIndex, lastIndex, hardState.term), logEntries }
  } finally {
    await store.close()
  }
}

function mayBeLost(checkpoint: LogIndex, last: LogIndex, term: number): string[] {
  const lines = [`Whatever was acknowledged after log entry ${last} and had not reached this member is lost.`]
  if (last > checkpoint) {
    lines.push(
      `The log entries ${checkpoint + 1} to ${last} are kept; some of them may never have been acknowledged, or have been replaced elsewhere.`,
    )
  }
  lines.push(
    `The other members must never be started again: they may have acknowledged more, in term ${term} or later ones.`,
  )
  return lines
}

async function* none(): AsyncGenerator<readonly Entry[]> {}

async function begin(
  disk: Disk,
  chunks: AsyncIterable<Uint8Array>,
  entries: AsyncIterable<readonly Entry[]>,
  beginning: NewBeginning,
  floors?: Floors,
): Promise<RestoreReport> {
  try {
    await expectFree(disk)
    await disk.replaceFile(IDENTITY_FILE, encodeIdentity(unfinished(beginning.identity)))
    const volume = await emptyVolume(disk)
    try {
      const staging = new Staging(volume, FIRST_LIVE)
      for await (const chunk of chunks) await staging.add(chunk)
      if (!staging.complete) throw new Damage('It is cut off: its end is missing.')
      const begun = await finishDirectory(disk, volume, staging.marker, entries, beginning, floors)
      return { ...begun, head: staging.head! }
    } finally {
      await volume.close()
    }
  } catch (error) {
    if (error instanceof Damage) throw new StorageRefusal('BAD_COPY', error.message, { cause: error })
    throw asRefusal(error)
  } finally {
    await disk.close()
  }
}

async function expectFree(disk: Disk): Promise<void> {
  const names = (await disk.list()).filter((name) => name !== OWNER_FILE && name !== 'lost+found')
  if (names.length === 0) return
  const bytes = await disk.readFile(IDENTITY_FILE)
  if (bytes !== null && decodeIdentity(bytes).state !== 'formed') return
  throw new StorageRefusal('EXISTS', 'The data directory is not empty.')
}
