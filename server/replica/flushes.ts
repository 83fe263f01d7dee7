/** The log's flushes, one at a time: what travels in the one under way, and who waits for its end. */
import type { Clock, Telemetry } from '../ports/index.js'
import type { Write } from '../raft/index.js'
import type { Store } from '../storage/index.js'
import type { ReplicaEntry } from './logentry.js'

export interface FlushesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export class Flushes {
  readonly #options: FlushesOptions
  readonly #done: (write: Write<ReplicaEntry> | null) => void
  /** In flight; null also while a flush without a write is. */
  #write: Write<ReplicaEntry> | null = null
  #running = false
  #startedMs = 0
  #landed: (() => void)[] = []

  /** `done` is told of each end, before those who wait for it. */
  constructor(options: FlushesOptions, done: (write: Write<ReplicaEntry> | null) => void) {
    this.#options = options
    this.#done = done
  }

  get busy(): boolean {
    return this.#running || this.#options.store.flushing
  }

  /** Makes durable what is staged; `write` is part of it. Never while busy. */
  start(write: Write<ReplicaEntry> | null): void {
    this.#write = write
    this.#running = true
    this.#startedMs = this.#options.clock.monotonicMs()
    this.#options.store.flush(this.#flushed)
  }

  /** Resolves at the end of the one under way; at once where there is none. */
  async end(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#landed.push(resolve))
  }

  /** Resolves once what this asks for is durable. What is asked for during a flush travels in the next one. */
  async carrying(ask: () => void): Promise<void> {
    await this.end()
    const { busy } = this
    ask()
    await this.end()
    if (busy) await this.end()
  }

  readonly #flushed = (): void => {
    const write = this.#write
    const { clock, telemetry } = this.#options
    const seconds = (clock.monotonicMs() - this.#startedMs) / 1_000
    const commands = commandsIn(write)
    this.#write = null
    this.#running = false
    // Whoever waits for an answer comes before those who measure.
    this.#done(write)
    telemetry.flush(seconds, commands)
    for (const landed of this.#landed.splice(0)) landed()
  }
}

/** Of clients. Asked before they are applied: afterwards an entry has none. */
function commandsIn(write: Write<ReplicaEntry> | null): number {
  let commands = 0
  for (const entry of write?.entries ?? []) if (entry.batch > 0) commands += entry.commands.length
  return commands
}
