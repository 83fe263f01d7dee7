/**
 * The real Disk: LevelDB through `level`, and small files through node:fs, in one directory that one process has at a time.
 * LevelDB's own lock guards it; a second open within this process would drop that lock, so it never gets that far.
 */
import { close, constants, fdatasync, open as openFd, read, writeSync } from 'node:fs'
import { mkdir, open, readdir, readFile, realpath, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Disk, Slots, Volume } from '../ports/index.js'
import { OWNER_FILE, StorageRefusal, VOLUME_NAME } from '../storage/index.js'
import { diskRefusal } from './diskerrors.js'
import { isLocked } from './levellock.js'
import { verifyTables } from './leveltables.js'
import { LevelVolume } from './levelvolume.js'

/** Directories that this process has open. */
const taken = new Set<string>()

/** A file that is being replaced. One that a crash left behind is of no meaning. */
const TEMPORARY = '.tmp'

const fs = { close: promisify(close), fdatasync: promisify(fdatasync), open: promisify(openFd), read: promisify(read) }

export class LevelDisk implements Disk {
  readonly path: string
  #taken: string | null = null
  #volume: LevelVolume | null = null

  constructor(path: string) {
    this.path = path
  }

  async openVolume(options: { create: boolean; salvage?: boolean }): Promise<Volume> {
    return guarded(this.path, async () => {
      const path = join(this.path, VOLUME_NAME)
      if (options.create) await mkdir(path, { recursive: true })
      const current = await exists(join(path, 'CURRENT'))
      if (options.create && current) throw new StorageRefusal('EXISTS', `There is a volume in ${this.path} already.`)
      if (!options.create && !current) {
        throw new StorageRefusal('MISSING_FILES', `${join(path, 'CURRENT')} is missing.`)
      }
      await this.#take()
      try {
        if (await isLocked(path)) throw new StorageRefusal('IN_USE', `The data directory ${this.path} is in use.`)
        // Before LevelDB opens it: it merges tables at once, and would write anew what is damaged as if it were whole.
        if (options.salvage !== true) await verifyTables(path)
        this.#volume = await LevelVolume.open(path, options, {
          closing: () => rm(join(this.path, OWNER_FILE), { force: true }).catch(() => {}),
          closed: () => this.#give(),
        })
      } catch (error) {
        this.#give()
        throw await this.#named(diskRefusal(error, this.path))
      }
      // For people: a refusal names this process by it. Nothing depends on it.
      await writeFile(join(this.path, OWNER_FILE), `${process.pid}\n`).catch(() => {})
      return this.#volume
    })
  }

  /** Marks the directory as open in this process. */
  async #take(): Promise<void> {
    const real = await realpath(this.path)
    if (taken.has(real)) {
      throw new StorageRefusal('IN_USE', `The data directory ${this.path} is in use by this very process.`)
    }
    taken.add(real)
    this.#taken = real
  }

  #give(): void {
    if (this.#taken !== null) taken.delete(this.#taken)
    this.#taken = null
    this.#volume = null
  }

  /** Names the process that has the directory. */
  async #named(refusal: StorageRefusal): Promise<StorageRefusal> {
    if (refusal.code !== 'IN_USE') return refusal
    const owner = await readFile(join(this.path, OWNER_FILE), 'utf8').catch(() => '')
    if (!/^\d+\n$/.test(owner)) return refusal
    const found = `The data directory ${this.path} is in use by process ${owner.trim()}.`
    return new StorageRefusal('IN_USE', found, { cause: refusal })
  }

  readFile(name: string): Promise<Uint8Array | null> {
    return guarded(this.path, async () => {
      try {
        return await readFile(join(this.path, name))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    })
  }

  replaceFile(name: string, bytes: Uint8Array): Promise<void> {
    return guarded(this.path, async () => {
      await mkdir(this.path, { recursive: true })
      const path = join(this.path, name)
      const file = await open(`${path}${TEMPORARY}`, 'w', 0o600)
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}${TEMPORARY}`, path)
      const directory = await open(this.path, 'r')
      try {
        await directory.sync()
      } finally {
        await directory.close()
      }
    })
  }

  openSlots(name: string, options: { create: boolean; initial: Uint8Array }): Promise<Slots> {
    return guarded(this.path, async () => {
      const path = join(this.path, name)
      if (!(await exists(path))) {
        if (!options.create) throw new StorageRefusal('MISSING_FILES', `${path} is missing.`)
        await this.replaceFile(name, options.initial)
      }
      return openSlots(path, this.path)
    })
  }

  list(): Promise<string[]> {
    return guarded(this.path, async () => {
      try {
        return (await readdir(this.path)).filter((name) => !name.endsWith(TEMPORARY)).sort()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
    })
  }

  freeBytes(): Promise<number> {
    return guarded(this.path, async () => {
      const { bavail, bsize } = await statfs(this.path)
      return bavail * bsize
    })
  }

  async close(): Promise<void> {
    await this.#volume?.close()
  }
}

/** Unsynced writes are made at once: they only reach the page cache, in a hundredth of a thread's round trip. */
async function openSlots(path: string, directory: string): Promise<Slots> {
  const fd = await fs.open(path, constants.O_RDWR)
  let closed = false
  return {
    read: () =>
      guarded(directory, async () => {
        const bytes = Buffer.alloc((await stat(path)).size)
        const { bytesRead } = await fs.read(fd, bytes, 0, bytes.length, 0)
        return bytes.subarray(0, bytesRead)
      }),
    write(offset, bytes, { sync }) {
      try {
        const count = writeSync(fd, bytes, 0, bytes.length, offset)
        if (count !== bytes.length) throw new Error(`only ${count} of ${bytes.length} bytes were written to ${path}`)
      } catch (error) {
        throw diskRefusal(error, directory)
      }
      return sync ? guarded(directory, () => fs.fdatasync(fd)) : null
    },
    close: async () => {
      if (closed) return
      closed = true
      await fs.close(fd)
    },
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Errors of the system become refusals that say what to do. */
async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw diskRefusal(error, path)
  }
}
