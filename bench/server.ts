/**
 * The server under load: the real process, `server/dist/cli/main.js serve`, with a data directory of its own. It is
 * ended by its process id, and its directory is removed with it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from '@leasehold/server/cli'
import { heldBytes, inspected } from './heap.js'
import { BENCH } from './limits.js'

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url))

/** Linux counts processor time for readers in hundredths of a second, whatever its own tick is. */
const MS_PER_TICK = 10

export interface ServerOptions {
  /** Where its data directory is made. */
  readonly parent: string
  /** Where a CPU profile is written when it ends. */
  readonly profile?: string | undefined
  readonly name: string
  readonly host: string
  readonly port: number
  /** Put in front of its command; the process id must stay the command's. */
  readonly under: readonly string[]
  /** What else its command line says: its place in a cluster. */
  readonly flags: readonly string[]
  /** Where node's inspector listens. */
  readonly inspectPort?: number | undefined
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export class ServerProcess {
  readonly dataFolder: string
  readonly #options: ServerOptions
  #child: ChildProcess
  #output = ''
  #closed = false
  #rssBytesMax = 0
  #sampler: NodeJS.Timeout | undefined

  private constructor(options: ServerOptions, dataFolder: string) {
    this.#options = options
    this.dataFolder = dataFolder
    this.#child = this.#spawn()
  }

  /** Resolves once it is spawned: see `ready`. */
  static async spawn(options: ServerOptions): Promise<ServerProcess> {
    return new ServerProcess(options, await mkdtemp(join(options.parent, `${options.name}-`)))
  }

  get name(): string {
    return this.#options.name
  }

  get url(): string {
    return `http://${this.#options.host}:${this.#options.port}`
  }

  #spawn(): ChildProcess {
    const { profile, name, host, port, flags, under, inspectPort } = this.#options
    const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    const data = join(this.dataFolder, 'data')
    const listen = ['--listen', `${host}:${port}`]
    const inspect = inspectPort === undefined ? [] : [inspected(inspectPort)]
    const args = [
      ...NODE_FLAGS,
      ...inspect,
      ...node,
      MAIN,
      'serve',
      '--name',
      name,
      '--data',
      data,
      ...listen,
      ...flags,
    ]
    const [command, ...rest] = [...under, process.execPath, ...args]
    const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-BENCH.serverLogBytesMax)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    return child
  }

  /** Waits for /readyz. Throws with the server's last output when it ends before, or takes too long. */
  async ready(): Promise<void> {
    const untilMs = performance.now() + BENCH.readyMsMax
    while (performance.now() < untilMs) {
      if (!this.alive) break
      const answer = await fetch(`${this.url}/readyz`).catch(() => null)
      await answer?.arrayBuffer()
      if (answer?.ok) return
      await sleep(20)
    }
    throw new Error(`the server did not become ready:\n${this.lastOutput}`)
  }

  /** The end of what it wrote to stdout and stderr, for a person. */
  get lastOutput(): string {
    return this.#output.slice(-4_000)
  }

  /** False once the process has ended. */
  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resident bytes of the process now. Reads /proc: 0 where there is none. */
  async rssBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => '')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024
  }

  /** Bytes that it holds once garbage is collected. Of a server whose inspector listens. */
  heldBytes(): Promise<number> {
    return heldBytes(this.#options.inspectPort!)
  }

  /** Processor time of the process so far, in milliseconds (of all its threads). Reads /proc: 0 where there is none. */
  async cpuMs(): Promise<number> {
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8').catch(() => '')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
    return ticks * MS_PER_TICK
  }

  /** Starts over looking for the largest resident size. */
  watchRss(): void {
    this.#rssBytesMax = 0
    this.#sampler ??= setInterval(async () => {
      this.#rssBytesMax = Math.max(this.#rssBytesMax, await this.rssBytes())
    }, BENCH.rssEveryMs)
  }

  get rssBytesMax(): number {
    return this.#rssBytesMax
  }

  /** The metrics' values now, of one reading; NaN for a name that the server has not (labels are part of a name). */
  async metrics(names: readonly string[]): Promise<number[]> {
    const answer = await fetch(`${this.url}/metrics`)
    const lines = (await answer.text()).split('\n')
    return names.map((name) =>
      Number(lines.find((l) => l.startsWith(`${name} `))?.slice(name.length + 1) ?? Number.NaN),
    )
  }

  /** SIGKILL, and the same directory and port again. Resolves with the moment of the kill, once the new process is spawned. */
  async killAndRespawn(): Promise<number> {
    const killedMs = await this.kill()
    this.respawn()
    return killedMs
  }

  /** SIGKILL. Resolves with the moment of the kill, once the process is gone. */
  async kill(): Promise<number> {
    const gone = once(this.#child, 'exit')
    const killedMs = performance.now()
    this.#child.kill('SIGKILL')
    await gone
    return killedMs
  }

  /** The same directory and port again, after a kill. */
  respawn(): void {
    this.#child = this.#spawn()
  }

  /** SIGSTOP or SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** Asks it to end (so that a profile is written), then insists. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sampler)
    const child = this.#child
    if (this.alive) {
      const gone = once(child, 'exit')
      // One that was paused would not hear the other signal.
      child.kill('SIGCONT')
      child.kill('SIGTERM')
      const insist = setTimeout(() => child.kill('SIGKILL'), BENCH.stopMsMax)
      await gone
      clearTimeout(insist)
    }
    await rm(this.dataFolder, { recursive: true, force: true })
  }
}
