/**
 * One process of another service, beside which this one is measured: with a folder of its own, ended by its process id.
 * What it writes is kept for a person, bounded.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { BENCH } from '../limits.js'

export class Program {
  readonly #child: ChildProcess
  #output = ''
  #closed = false

  constructor(command: string, args: readonly string[], folder: string) {
    this.#child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-BENCH.serverLogBytesMax)
    }
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    this.#child.on('error', (error) => keep(Buffer.from(String(error))))
  }

  get alive(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** The end of what it wrote. */
  get lastOutput(): string {
    return this.#output.slice(-4_000)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (!this.alive) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** Asks until it says yes. Throws with the last outputs when one of them ends before, or it takes too long. */
export async function untilReady(programs: readonly Program[], ready: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + BENCH.readyMsMax
  while (performance.now() < untilMs && programs.every(({ alive }) => alive)) {
    if (await ready().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`it did not become ready:\n${programs.map(({ lastOutput }) => lastOutput).join('\n')}`)
}
