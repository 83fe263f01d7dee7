/**
 * Verifies the sorted tables of a LevelDB before it is opened, which opens, scans and merges damaged ones. A flipped byte
 * among rows that are no longer needed, or in a filter, is met by one start and not by another: where rows behind a range
 * are deleted, a scan of the range passes over them to the next one that is not; and a merge that meets the byte fails all
 * writes. So each table must be whole before anything builds on it. Nothing is written, and what LevelDB finds by itself
 * (a table or the manifest that is missing) is left to it.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StorageRefusal } from '../storage/index.js'
import { liveTables } from './levelmanifest.js'
import { tableDamage } from './leveltable.js'

/** While one table is checked, the next one is read. */
const TABLES_AHEAD = 2

/** Throws StorageRefusal where a table of the LevelDB at `path` is damaged. Memory: two tables at a time. */
export async function verifyTables(path: string): Promise<void> {
  const manifest = await manifestOf(path)
  if (manifest === null) return
  const rest = [...liveTables(manifest)]
  const spare: Uint8Array[] = []
  const read = async (number: number, bytes: number): Promise<[string, Uint8Array | null, number]> => {
    const file = `${String(number).padStart(6, '0')}.ldb`
    return [file, await bytesOf(join(path, file), bytes, spare.pop()), bytes]
  }
  const ahead: Promise<[string, Uint8Array | null, number]>[] = []
  const fill = (): void => {
    while (ahead.length < TABLES_AHEAD && rest.length > 0) {
      const reading = read(...rest.shift()!)
      // Whoever stops at a damage never looks at what was read ahead.
      reading.catch(() => {})
      ahead.push(reading)
    }
  }
  for (fill(); ahead.length > 0; fill()) {
    const [file, bytes, length] = await ahead.shift()!
    if (bytes === null) continue
    const damage = tableDamage(bytes, length)
    if (damage !== null) throw damaged(join(path, file), damage)
    spare.push(bytes)
  }
}

/** The manifest that counts, or null where there is none. */
async function manifestOf(path: string): Promise<Uint8Array | null> {
  const current = await unlessMissing(readFile(join(path, 'CURRENT'), 'utf8'))
  const name = /^(MANIFEST-\d+)\n$/.exec(current ?? '')?.[1]
  return name === undefined ? null : unlessMissing(readFile(join(path, name)))
}

/** The table's bytes, in `spare` where they fit; null where it is missing. Throws StorageRefusal where it is shorter than the manifest says. */
async function bytesOf(path: string, length: number, spare: Uint8Array | undefined): Promise<Uint8Array | null> {
  const file = await unlessMissing(open(path))
  if (file === null) return null
  try {
    const bytes = spare !== undefined && spare.length >= length ? spare : Buffer.allocUnsafeSlow(length)
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, at)
      if (bytesRead === 0) throw damaged(path, `it has ${at} of its ${length} bytes`)
      at += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}

function damaged(path: string, what: string): StorageRefusal {
  return new StorageRefusal('DAMAGED', `The table ${path} is damaged: ${what}.`)
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
