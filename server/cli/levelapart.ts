/**
 * Reads a range of a LevelDB in a thread of its own. Must never end as if it were complete where it is not, nor leave the
 * thread behind: as long as it lives, the LevelDB is open.
 */
import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PackedRows } from '../ports/index.js'
import { errorOf, type Reading, type Wish, type Word } from './levelthread.js'

export class ReadingApart {
  readonly #worker: Worker
  readonly #words: AsyncIterable<[Word]>
  readonly #gone: Promise<unknown>

  constructor(reading: Reading) {
    // Flags of this process (a profiler's, a loader's) are not meant for it.
    this.#worker = new Worker(new URL('./levelreader.js', import.meta.url), { workerData: reading, execArgv: [] })
    this.#words = on(this.#worker, 'message', { close: ['exit'] }) as AsyncIterable<[Word]>
    this.#gone = new Promise((resolve) => this.#worker.once('exit', resolve))
    // Whoever reads is told by the words' end. Nobody may read any more.
    this.#worker.on('error', () => {})
  }

  /** The rows, in key order. Called once. */
  async *rows(): AsyncGenerator<PackedRows> {
    for await (const [word] of this.#words) {
      if ('failure' in word) throw errorOf(word.failure)
      if ('end' in word) return
      yield word.rows
      this.#wish('more')
    }
    throw new Error('the reading was cut short')
  }

  /** Resolves once the thread is gone. Safe to call twice, and while rows are read: that fails then. */
  async close(): Promise<void> {
    this.#wish('stop')
    await this.#gone
  }

  #wish(wish: Wish): void {
    this.#worker.postMessage(wish)
  }
}
