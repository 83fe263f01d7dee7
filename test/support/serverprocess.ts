/** A real server as a process of its own, as `npm start` runs it: on a free port, ended by its process id alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WITHOUT_RUNNER } from './withoutrunner.js'

export const MAIN = fileURLToPath(new URL('../../../server/dist/cli/main.js', import.meta.url))

export interface ServerOptions {
  readonly dataPath: string
  /** Put in front of the command: a tracer, say. */
  readonly under?: readonly string[]
  /** The program of the server; MAIN unless a test plants a fault in it. */
  readonly program?: readonly string[]
  /** Extra flags. */
  readonly flags?: readonly string[]
}

export class ServerProcess {
  readonly url: string
  /** Of the server itself, not of what it runs under. */
  readonly pid: number
  readonly #child: ChildProcess
  readonly #exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #stderr: string[]

  private constructor(
    child: ChildProcess,
    serving: { url: string; pid: number },
    exited: ServerProcess['exited'],
    stderr: string[],
  ) {
    this.#child = child
    this.url = serving.url
    this.pid = serving.pid
    this.#exited = exited
    this.#stderr = stderr
  }

  /** Resolves once it serves; rejects, with what it said, when it ends before. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const program = [...WITHOUT_RUNNER, process.execPath, ...(options.program ?? [MAIN])]
    const flags = ['serve', '--listen', '127.0.0.1:0', '--data', options.dataPath, '--log-format', 'json']
    const [command, ...args] = [...(options.under ?? []), ...program, ...flags, ...(options.flags ?? [])]
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const stderr: string[] = []
    child.stderr!.on('data', (data) => stderr.push(String(data)))
    const lines = createInterface({ input: child.stdout! })
    const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }))
    const serving = new Promise<{ url: string; pid: number }>((resolve) => {
      lines.on('line', (line) => {
        if (!line.includes('"url"')) return
        const { url, pid } = JSON.parse(line) as { url?: unknown; pid?: unknown }
        if (typeof url === 'string' && typeof pid === 'number') resolve({ url, pid })
      })
    })
    const ended = exited.then(({ code, signal }) => {
      throw new Error(`the server ended (${code ?? signal}) before it served: ${stderr.join('')}`)
    })
    ended.catch(() => {})
    return new ServerProcess(child, await Promise.race([serving, ended]), exited, stderr)
  }

  get stderr(): string {
    return this.#stderr.join('')
  }
  get exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#exited
  }

  /** Ends the server process and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) process.kill(this.pid, signal)
    return this.#exited
  }
}
