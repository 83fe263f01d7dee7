/**
 * The machine's raw limits, measured beside the load and in the same run: one synced LevelDB put of 100 bytes, in the
 * file system that the server's data is in, and one round trip over a loopback WebSocket to another process. All
 * targets are ratios against their medians, so that a figure means the same on a slow disk and on a fast one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Level } from 'level'
import WebSocket from 'ws'
import { Latency, type Percentiles } from './latency.js'
import { BENCH } from './limits.js'

export interface RawFigures {
  readonly syncedPut: Percentiles
  readonly roundTrip: Percentiles
}

export class RawLimits {
  #put = new Latency()
  #trip = new Latency()
  #closed = false
  readonly #folder: string
  readonly #db: Level<string, Uint8Array>
  readonly #echo: ChildProcess
  readonly #socket: WebSocket

  private constructor(folder: string, db: Level<string, Uint8Array>, echo: ChildProcess, socket: WebSocket) {
    this.#folder = folder
    this.#db = db
    this.#echo = echo
    this.#socket = socket
  }

  /** Opens a LevelDB in a new folder under `parent`, and an echo process. */
  static async open(parent: string): Promise<RawLimits> {
    const folder = await mkdtemp(join(parent, 'raw-'))
    const db = new Level<string, Uint8Array>(folder, { keyEncoding: 'utf8', valueEncoding: 'view' })
    await db.open()
    const echo = spawn(process.execPath, [fileURLToPath(new URL('./echo.js', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const [port] = (await once(echo, 'message')) as [number]
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
    await once(socket, 'open')
    return new RawLimits(folder, db, echo, socket)
  }

  /** Adds samples to those since the last `take`. To be called while nothing else is under load. */
  async measure(samples: number = BENCH.rawSamples): Promise<void> {
    const bytes = new Uint8Array(BENCH.rawBytes).fill(7)
    for (let i = -BENCH.rawWarmSamples; i < samples; i++) {
      const startMs = performance.now()
      await this.#db.put(`key-${Math.abs(i)}`, bytes, { sync: true })
      if (i >= 0) this.#put.record(performance.now() - startMs)
    }
    for (let i = -BENCH.rawWarmSamples; i < samples; i++) {
      const ms = await this.#roundTrip(bytes)
      if (i >= 0) this.#trip.record(ms)
    }
  }

  #roundTrip(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve) => {
      const startMs = performance.now()
      this.#socket.once('message', () => resolve(performance.now() - startMs))
      this.#socket.send(bytes)
    })
  }

  /** What was measured since the last call. */
  take(): RawFigures {
    const figures = { syncedPut: this.#put.percentiles(), roundTrip: this.#trip.percentiles() }
    this.#put = new Latency()
    this.#trip = new Latency()
    return figures
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#socket.terminate()
    this.#echo.disconnect()
    await this.#db.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
