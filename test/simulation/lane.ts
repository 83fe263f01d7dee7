/**
 * A thread that plays seeds, one after the other: of several, worlds are played side by side. Tests play theirs here, too: a test runner
 * follows every promise of its own thread, and worlds are made of promises, so that they would take a third longer there.
 */
import { Worker } from 'node:worker_threads'
import type { PlayOptions } from './seeds.js'
import type { Outcome } from './world.js'

/** Worlds leave much that is soon forgotten; with room for it the collector has far less to do. */
const RESOURCES = { maxYoungGenerationSizeMb: 64 }
/** Nor has it what a test runner loads into each thread. */
const OPTIONS = { resourceLimits: RESOURCES, execArgv: ['--enable-source-maps'] }

/** What is asked of the thread; it answers with an outcome. */
export interface Asked {
  readonly seed: number
  readonly options: PlayOptions
}

export class Lane {
  readonly #worker = new Worker(new URL('./laneworker.js', import.meta.url), OPTIONS)
  #settle: { resolve: (outcome: Outcome | null) => void; reject: (error: Error) => void } | null = null
  #ended: Promise<unknown> | null = null

  constructor() {
    this.#worker.on('message', (outcome: Outcome) => this.#settle?.resolve(outcome))
    this.#worker.on('error', (error) => this.#settle?.reject(error as Error))
  }

  /** One seed at a time. Null where the lane ended meanwhile; rejects where the thread broke. */
  play(seed: number, options: PlayOptions): Promise<Outcome | null> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      if (this.#ended !== null) resolve(null)
      else this.#worker.postMessage({ seed, options } satisfies Asked)
    })
  }

  /** Safe to call twice. */
  async end(): Promise<void> {
    this.#ended ??= this.#worker.terminate()
    this.#settle?.resolve(null)
    await this.#ended
  }
}
