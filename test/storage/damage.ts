/**
 * Damaging data directories on purpose: which damages there are, how one is done to a copy, and what may come of it. Seeded, so
 * that a failure can be repeated. Only closed directories are copied: opening a LOCK file again would drop its lock.
 */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** One damage to one file, named by its path within the directory. */
export type Damage =
  | { readonly kind: 'flip'; readonly file: string; readonly at: number; readonly mask: number }
  | { readonly kind: 'truncate'; readonly file: string; readonly length: number }
  | { readonly kind: 'delete'; readonly file: string }

/** Uniform in [0, 1) (mulberry32 by Tommy Ettinger, public domain). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
}

/** All files below a directory with their sizes, the same order every time. */
export function filesOf(path: string, below = ''): { file: string; bytes: number }[] {
  const found: { file: string; bytes: number }[] = []
  for (const entry of readdirSync(join(path, below), { withFileTypes: true })) {
    const file = join(below, entry.name)
    if (entry.isDirectory()) found.push(...filesOf(path, file))
    else found.push({ file, bytes: statSync(join(path, file)).size })
  }
  return found.sort((a, b) => (a.file < b.file ? -1 : 1))
}

/** `count` flipped bytes over all files: each file its share by size, and a few at least. */
export function flips(path: string, count: number, seed: number): Damage[] {
  const random = seeded(seed)
  const files = filesOf(path).filter(({ bytes }) => bytes > 0)
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  return files.flatMap(({ file, bytes }) =>
    Array.from({ length: Math.max(8, Math.ceil((count * bytes) / total)) }, () => flip(file, bytes * random(), random)),
  )
}

function flip(file: string, at: number, random: () => number): Damage {
  return { kind: 'flip', file, at: Math.floor(at), mask: 1 + Math.floor(random() * 255) }
}

/** Every byte of the files whose names match. */
export function everyByte(path: string, files: RegExp, seed: number): Damage[] {
  const random = seeded(seed)
  const matching = filesOf(path).filter(({ file }) => files.test(file))
  return matching.flatMap(({ file, bytes }) => Array.from({ length: bytes }, (_, at) => flip(file, at, random)))
}

/** Each file deleted, and truncated to several lengths. */
export function cuts(path: string, seed: number): Damage[] {
  const random = seeded(seed)
  return filesOf(path).flatMap(({ file, bytes }): Damage[] => {
    const lengths = [0, 1, bytes - 1, bytes - 8, bytes >> 1, Math.floor(bytes * random()), Math.floor(bytes * random())]
    const fitting = [...new Set(lengths)].filter((length) => length >= 0 && length < bytes)
    return [{ kind: 'delete', file }, ...fitting.map((length) => ({ kind: 'truncate' as const, file, length }))]
  })
}

export function copyDirectory(from: string, to: string): void {
  for (const { file } of filesOf(from)) {
    mkdirSync(dirname(join(to, file)), { recursive: true })
    copyFileSync(join(from, file), join(to, file))
  }
}

/** Makes a damaged copy; what stood at `to` is removed. */
export function damagedCopy(from: string, to: string, damage: Damage): void {
  rmSync(to, { recursive: true, force: true })
  copyDirectory(from, to)
  const path = join(to, damage.file)
  if (damage.kind === 'delete') rmSync(path)
  else if (damage.kind === 'truncate') truncateSync(path, damage.length)
  else {
    const bytes = readFileSync(path)
    bytes[damage.at]! ^= damage.mask
    writeFileSync(path, bytes)
  }
}

export function describeDamage(damage: Damage): string {
  if (damage.kind === 'delete') return `${damage.file} deleted`
  if (damage.kind === 'truncate') return `${damage.file} truncated to ${damage.length}`
  return `${damage.file} at ${damage.at} flipped by ${damage.mask}`
}
