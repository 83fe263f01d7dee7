/**
 * A member's disk: in RAM, with the latencies and failures of a real one, decided by the seed. It outlives processes. What
 * is synced is told to the book of what is durable at the moment at which it is.
 */
import { type DiskStep, MemoryDisk } from '@leasehold/server/storage'
import type { Dice } from './dice.js'
import type { Durable } from './durable.js'
import type { Process } from './process.js'

const WRITE_MS = 0.3
const WRITE_MS_MAX = 15
const SLOW_MS = 60
const SLOW_MS_MAX = 900

const never = (): Promise<void> => new Promise(() => {})

export class SimulatedDisk {
  readonly memory = new MemoryDisk()
  slow = false
  full = false
  /** The next write, and only it, fails. */
  failing = false
  /** Writes do not come back until it is over. */
  #hanging: (() => void)[] | null = null
  /** Called at the next commit, before it is done: a fault that waits for a flush. */
  onCommit: (() => void) | null = null
  readonly #durable: Durable
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

  crash(): void {
    this.#hanging = null
    this.failing = false
    this.onCommit = null
    this.memory.crash()
    this.#durable.crashed()
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
          reject(Object.assign(new Error('write failed'), { code: this.full ? 'ENOSPC' : 'EIO' }))
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
    return () => this.memory.damageRow(key, value)
  }
}
