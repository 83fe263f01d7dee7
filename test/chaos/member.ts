/** A member of a cluster under chaos: a real process over a directory of its own, ended by its process id alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { MAIN } from '../support/serverprocess.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'
import { endWithUs } from './leftovers.js'

const READY_MS_MAX = 30_000
const OUTPUT_CHARS_MAX = 16_384
const ASK_MS = 500

export interface MemberOptions {
  /** From 1. */
  readonly number: number
  readonly dataPath: string
  /** Where clients come in. */
  readonly url: string
  readonly flags: readonly string[]
  /** Put in front of its command. */
  readonly under: readonly string[]
}

export class Member {
  readonly number: number
  readonly name: string
  readonly url: string
  readonly dataPath: string
  /** Something was done to it that may end it. */
  mayEnd = false
  /** What it said when it ended, though nothing was done to it. */
  readonly endings: string[] = []
  readonly #options: MemberOptions
  #child: ChildProcess | null = null
  #output = ''

  constructor(options: MemberOptions) {
    this.#options = options
    this.number = options.number
    this.name = `n${options.number}`
    this.url = options.url
    this.dataPath = options.dataPath
  }

  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number {
    return this.#child!.pid!
  }

  start(): void {
    const { flags, under, dataPath } = this.#options
    const program = [process.execPath, MAIN, 'serve', '--name', this.name, '--data', dataPath, ...flags]
    const [command, ...args] = [...under, ...WITHOUT_RUNNER, ...program]
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    endWithUs(child)
    this.mayEnd = false
    const keep = (data: Buffer) => {
      this.#output = (this.#output + data).slice(-OUTPUT_CHARS_MAX)
    }
    child.stdout!.on('data', keep)
    child.stderr!.on('data', keep)
    child.once('close', (code, signal) => {
      if (!this.mayEnd) this.endings.push(`${this.name} ended (${code ?? signal}): ${this.#output.slice(-2_000)}`)
    })
  }

  /** Waits until it says that it serves. */
  async ready(): Promise<void> {
    const endMs = performance.now() + READY_MS_MAX
    while (performance.now() < endMs && this.alive) {
      if ((await this.#ask('/readyz'))?.ok) return
      await sleep(30)
    }
    throw new Error(`${this.name} did not become ready: ${this.#output.slice(-2_000)}`)
  }

  /** Who leads, as it says; null where it does not answer or knows none. */
  async leader(): Promise<string | null> {
    const answer = await this.#ask('/v1/cluster')
    if (!answer?.ok) return null
    return ((await answer.json().catch(() => ({}))) as { leader?: string | null }).leader ?? null
  }

  /** What it says of the cluster, and the last that it wrote to its log: for people. */
  async view(): Promise<string> {
    const view = (await (await this.#ask('/v1/cluster'))?.text()) ?? 'no answer'
    return `${view}\n${this.#output.slice(-3_000)}`
  }

  #ask(path: string): Promise<Response | null> {
    return fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(ASK_MS) }).catch(() => null)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.alive) process.kill(this.pid, signal)
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.alive) return
    this.mayEnd = true
    const closed = once(this.#child!, 'close')
    process.kill(this.pid, 'SIGCONT')
    process.kill(this.pid, signal)
    await closed
  }

  /** Resolves once its process has ended by itself, or after so long. */
  async ended(withinMs: number): Promise<boolean> {
    const endMs = performance.now() + withinMs
    while (this.alive && performance.now() < endMs) await sleep(20)
    return !this.alive
  }
}
