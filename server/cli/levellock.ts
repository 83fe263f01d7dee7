/**
 * Whether some process holds LevelDB's lock, as the kernel lists it. LevelDB itself says so only when it opens, and by then its tables
 * have been read: a directory in use would be judged by files that belong to somebody else. This only looks: where it sees
 * nothing (another system, a filesystem under another name in the list) LevelDB's own lock decides, a little later.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

export async function isLocked(path: string): Promise<boolean> {
  try {
    const { dev, ino } = await stat(join(path, 'LOCK'), { bigint: true })
    return listed(await readFile('/proc/locks', 'utf8'), dev, ino)
  } catch {
    return false
  }
}

/** `locks` as of proc(5): `1: POSIX  ADVISORY  WRITE 17394 fe:00:2213034 0 EOF`; who only waits has an arrow in front. */
export function listed(locks: string, dev: bigint, ino: bigint): boolean {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn)
  const file = ` ${twoDigits(major)}:${twoDigits(minor)}:${ino} `
  return locks.split('\n').some((line) => line.includes(file) && line.includes(' WRITE ') && !line.includes('->'))
}

const twoDigits = (number: bigint) => number.toString(16).padStart(2, '0')
