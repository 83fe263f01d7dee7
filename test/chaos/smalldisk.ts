/** A volume of a few megabytes, in memory, that can be filled up. Needs root on Linux. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { atExit } from './leftovers.js'

const MB = 192
const CHUNK_BYTES = 65_536

/** Why there can be none; null: there can. */
export function smallDiskMissing(folder: string): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a small volume needs root on Linux'
  const { status, stderr } = mount(folder)
  if (status !== 0) return `a small volume cannot be mounted: ${stderr}`
  spawnSync('umount', [folder])
  return null
}

const mount = (folder: string) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${MB}m`, 'leasehold-chaos', folder], { encoding: 'utf8' })

export class SmallDisk {
  readonly #folder: string
  readonly #filler: string
  readonly #forget: () => void
  #closed = false

  /** Mounted over this folder. Throws where that cannot be done. */
  constructor(folder: string) {
    this.#folder = folder
    this.#filler = join(folder, 'filler')
    const { status, stderr } = mount(folder)
    if (status !== 0) throw new Error(`mount: ${stderr}`)
    this.#forget = atExit(() => spawnSync('umount', ['-l', folder]))
  }

  /** Writes until nothing more fits. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (const bytes of [CHUNK_BYTES, 512]) while (wrote(file, Buffer.alloc(bytes))) {}
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    if (!this.#closed) rmSync(this.#filler, { force: true })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forget()
    spawnSync('umount', [this.#folder])
  }
}

function wrote(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) > 0
  } catch {
    return false
  }
}
