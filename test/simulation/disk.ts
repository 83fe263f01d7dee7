/**
 * A member's disk: in RAM, with the latencies and failures of a real one, decided by the seed. It outlives processes. What
 * is synced is told to the book of what is durable at the moment at which it is.
 */
import { type DiskStep, diskError, MemoryDisk } from '@leasehold/server/storage'
import type { Dice } from './dice.js'
import type { Durable } from './durable.js'
import type { FaultKind } from './faultkinds.js'
import type { Process } from './process.js'

const WRITE_MS = 0.3
const WRITE_MS_MAX = 15
const SLOW_MS = 60
const SLOW_MS_MAX = 900

const never = (): Promise<void> => new Promise(() => {})

export class SimulatedDisk {
  memory = new MemoryDisk()
  slow = false
  full = false
  /** The next write, and only it, fails. */
  failing = false
  /** Writes do not come back until it is over. */
  #hanging: (() => void)[] | null = null
  /** Called at the next commit, before it is done: a fault that waits for a flush. */
  onCommit: (() => void) | null = null
  #durable: Durable
  readonly #dice: Dice

  constructor(durable: Durable, dice: Dice) {
    this.#durable = durable
    this.#dice = dice
  }

  get hanging(): boolean {
    return this.#hanging !== null
  }

  /** Its steps belong to this process from now on. */
  attach(process: Process): void {
    this.memory.before = (step) => this.#step(process, step)
  }

  hang(): void {
    this.#hanging ??= []
  }
  unhang(): void {
    const held = this.#hanging ?? []
    this.#hanging = null
    for (const go of held) go()
  }

  /** The process is gone, or the power: of what was not synced, some is there and some is not. */
  crash(count: (kind: FaultKind) => void, allKept: boolean): void {
    this.#hanging = null
    this.failing = false
    this.onCommit = null
    const cameAbout = (step: DiskStep): boolean => {
      if (this.#dice.chance(0.5)) return false
      if (step.kind === 'commit') this.#durable.synced()
      count('write came about in a crash')
      return true
    }
    const kept = (): boolean => {
      const keep = allKept || this.#dice.chance(0.5)
      if (!keep) count('unsynced write lost')
      return keep
    }
    this.memory.crash({ cameAbout, kept })
    this.#durable.crashed()
  }

  /** Another, empty disk is in its place. */
  wipe(durable: Durable): void {
    this.memory = new MemoryDisk()
    this.#durable = durable
  }

  /** After a crash: some synced batches vanish, of which at least one was acknowledged. Returns how to get them back. */
  loseTail(): () => void {
    const whole = this.memory.copy({ unsynced: 'kept' })
    this.memory.crash({ kept: () => true, lostBatches: 2 + this.#dice.int(3) })
    return () => {
      this.memory = whole
    }
  }

  #step(process: Process, step: DiskStep): Promise<void> {
    if (!process.effect()) return never()
    if (step.kind === 'commit') {
      const due = this.onCommit
      this.onCommit = null
      due?.()
      if (!process.alive) return never()
    }
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        if (this.failing || this.full) {
          this.failing = false
          reject(diskError(this.full ? 'ENOSPC' : 'EIO'))
          return
        }
        if (step.kind === 'commit') this.#durable.synced()
        resolve()
      }
      const go = (): void => {
        const ms = this.slow ? this.#dice.tailed(SLOW_MS, SLOW_MS_MAX) : this.#dice.tailed(WRITE_MS, WRITE_MS_MAX)
        process.after(ms, () =>
          this.#hanging === null ? finish() : this.#hanging.push(() => process.after(0, finish)),
        )
      }
      if (this.#hanging === null) go()
      else this.#hanging.push(go)
    })
  }

  /** Flips one bit of one row, behind everybody's back. Returns how to take it back, or null where there is no row. */
  flip(): (() => void) | null {
    const rows = this.memory.rows()
    if (rows.length === 0) return null
    const [key, value] = this.#dice.pick(rows)
    const bad = Uint8Array.from(value)
    bad[this.#dice.int(bad.length)]! ^= 1 << this.#dice.int(8)
    this.memory.damageRow(key, bad)
    return () => {
      // Whoever has written it anew has mended it.
      const now = this.memory.rows().find(([other]) => Buffer.compare(other, key) === 0)?.[1]
      if (now !== undefined && Buffer.compare(now, bad) === 0) this.memory.damageRow(key, value)
    }
  }
}
