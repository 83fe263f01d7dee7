/**
 * `leasehold recover --accept-loss`, on the file system. Works on copies; the damaged files end up in a folder of their own
 * within the data directory, so that nothing has to be renamed outside of it. The switch survives a crash at any moment:
 * until it is done, the directory is refused, and running the command again finishes it.
 */
import { cp, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import {
  acceptLoss,
  IDENTITY_FILE,
  type LossOptions,
  type LossReport,
  OWNER_FILE,
  openStore,
  type RefusalCode,
  SIDE_FILE,
  StorageRefusal,
  SWITCHING_FILE,
  VOLUME_NAME,
} from '../storage/index.js'
import { LevelDisk } from './leveldisk.js'

/** Only these are damage; all other refusals stand. */
const RECOVERABLE: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'DAMAGED',
  'LOST_TAIL',
  'MISSING_FILES',
  'DISK_FAILED',
])

const WORK = { copy: 'recovering-copy', fresh: 'recovering' } as const
const KEPT_PREFIX = 'damaged-'

export interface RecoverOptions extends LossOptions {
  readonly memberId: string
}

export interface Recovery {
  /** Null where only an interrupted switch was finished. */
  readonly report: LossReport | null
  /** The folder with the damaged files. */
  readonly damagedPath: string
}

/** Throws StorageRefusal where there is nothing to give up, or nothing to save. */
export async function recoverDirectory(path: string, options: RecoverOptions): Promise<Recovery> {
  const interrupted = await readFile(join(path, SWITCHING_FILE), 'utf8').catch(() => null)
  if (interrupted !== null) return { report: null, damagedPath: await finishSwitch(path, interrupted.trim()) }
  await expectDamage(path, options)
  const copy = join(path, WORK.copy)
  const fresh = join(path, WORK.fresh)
  await rm(copy, { recursive: true, force: true })
  await rm(fresh, { recursive: true, force: true })
  await copyOf(path, copy)
  const report = await acceptLoss(new LevelDisk(copy), new LevelDisk(fresh), options)
  await rm(copy, { recursive: true, force: true })
  const names = await readdir(path)
  let number = 1
  while (names.includes(`${KEPT_PREFIX}${number}`)) number += 1
  await new LevelDisk(path).replaceFile(SWITCHING_FILE, Buffer.from(`${KEPT_PREFIX}${number}\n`))
  return { report, damagedPath: await finishSwitch(path, `${KEPT_PREFIX}${number}`) }
}

async function expectDamage(path: string, options: RecoverOptions): Promise<void> {
  const machine = options.machine()
  try {
    const store = await openStore(new LevelDisk(path), {
      tables: machine.tables,
      memberId: options.memberId,
      fatal: () => undefined,
    })
    await store.close()
  } catch (error) {
    if (error instanceof StorageRefusal && RECOVERABLE.has(error.code)) return
    throw error
  }
  throw new StorageRefusal('NOTHING_LOST', 'The data directory is whole.')
}

/** A copy to read from, repaired by LevelDB where it cannot be opened as it is. */
async function copyOf(path: string, copy: string): Promise<void> {
  await mkdir(copy, { recursive: true })
  for (const name of [IDENTITY_FILE, SIDE_FILE, VOLUME_NAME]) {
    await cp(join(path, name), join(copy, name), { recursive: true }).catch(unlessMissing)
  }
  if (!(await readdir(copy)).includes(VOLUME_NAME)) return
  try {
    await (await new LevelDisk(copy).openVolume({ create: false, salvage: true })).close()
  } catch {
    // The type leaves out what the module has.
    const { repair } = Level as unknown as { repair(location: string): Promise<void> }
    // What not even that opens, acceptLoss lists as lost.
    await repair(join(copy, VOLUME_NAME)).catch(() => undefined)
  }
}

/** Moves the damaged files aside and the fresh ones in, the identity last. Every step may have been done before. */
async function finishSwitch(path: string, keptName: string): Promise<string> {
  const kept = join(path, keptName)
  const fresh = join(path, WORK.fresh)
  await mkdir(kept, { recursive: true })
  const inFresh: string[] = await readdir(fresh).catch(() => [])
  const inKept = await readdir(kept)
  await rm(join(path, OWNER_FILE), { force: true })
  if (!inKept.includes(IDENTITY_FILE)) {
    await cp(join(path, IDENTITY_FILE), join(kept, IDENTITY_FILE)).catch(unlessMissing)
  }
  for (const name of [VOLUME_NAME, SIDE_FILE, IDENTITY_FILE]) {
    if (!inFresh.includes(name)) continue
    if (name !== IDENTITY_FILE && !inKept.includes(name)) {
      await rename(join(path, name), join(kept, name)).catch(unlessMissing)
    }
    await rename(join(fresh, name), join(path, name))
  }
  await synced(kept)
  await synced(path)
  await rm(fresh, { recursive: true, force: true })
  await rm(join(path, SWITCHING_FILE))
  await synced(path)
  return kept
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function synced(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
