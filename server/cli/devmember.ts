/** One member of a local cluster: a process of its own, whose log is told line by line. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { PlannedMember } from './devplan.js'
import { readable } from './readable.js'

export interface DevListener {
  /** A line of its log, or of what it said to people. */
  line(member: PlannedMember, text: string): void
  serving(member: PlannedMember, pid: number): void
  ended(member: PlannedMember, how: string): void
}

export class DevMember {
  readonly plan: PlannedMember
  readonly #listener: DevListener
  readonly #child: ChildProcess
  /** Resolves once the process has ended and all that it said was told. */
  readonly done: Promise<void>

  /** `program` is what runs `leasehold`: its file, and what comes before the command. */
  constructor(plan: PlannedMember, program: readonly [string, ...string[]], listener: DevListener) {
    this.plan = plan
    this.#listener = listener
    const [file, ...before] = program
    // The channel is a lifeline: a member ends when it closes, however this process may end.
    this.#child = spawn(file, [...before, ...plan.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: environment(),
    })
    this.done = this.#follow()
  }

  stop(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async #follow(): Promise<void> {
    const { stdout, stderr } = this.#child
    createInterface({ input: stdout! }).on('line', (line) => this.#logged(line))
    createInterface({ input: stderr! }).on('line', (line) => this.#listener.line(this.plan, line))
    let how: string
    try {
      const [code, signal] = (await once(this.#child, 'close')) as [number | null, NodeJS.Signals | null]
      how = signal === null ? `with exit code ${code}` : `by ${signal}`
    } catch (error) {
      how = `before it began: ${(error as Error).message}`
    }
    this.#listener.ended(this.plan, how)
  }

  #logged(line: string): void {
    let event: unknown
    let text = line
    try {
      event = (JSON.parse(line) as { event?: unknown }).event
      text = readable(line).trimEnd()
    } catch {
      // Not of its log: told as it is.
    }
    this.#listener.line(this.plan, text)
    if (event === 'serving') this.#listener.serving(this.plan, this.#child.pid!)
  }
}

/** What is set for a server of one's own is not meant for three of them. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_')))
}
