/** One shell that lives on from block to block, as a reader's terminal does. No block may take for ever: it ends with what it printed so far. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

/** Far longer than any block takes on a busy machine, and less than the whole chapter may. */
const BLOCK_MS_MAX = 60_000

export class Terminal {
  readonly #shell: ChildProcess
  #output = ''
  #arrived: () => void = () => undefined

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    const [program, ...before] = WITHOUT_RUNNER
    this.#shell = spawn(program, [...before, 'bash', '--noprofile', '--norc'], {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    })
    this.#shell.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#arrived()
    })
    this.#shell.once('exit', () => this.#arrived())
    this.#shell.stdin!.write('exec 2>&1\n')
  }

  /** Runs a block; resolves with what it printed, and the exit code of its last command. Throws where it does not end. */
  async run(block: string, msMax = BLOCK_MS_MAX): Promise<{ output: string; code: number }> {
    const mark = randomUUID()
    this.#shell.stdin!.write(`${block}\necho "${mark} $?"\n`)
    const end = new RegExp(`${mark} (\\d+)\n`)
    let late = false
    const limit = setTimeout(() => {
      late = true
      this.#arrived()
    }, msMax)
    try {
      for (;;) {
        const found = end.exec(this.#output)
        if (found !== null) {
          const output = this.#output.slice(0, found.index)
          this.#output = this.#output.slice(found.index + found[0].length)
          return { output, code: Number(found[1]) }
        }
        if (this.#ended) throw new Error(`the shell ended: ${this.#output}`)
        if (late) throw new Error(`no end after ${msMax} ms of:\n${block}\nprinted so far: ${this.#output}`)
        await new Promise<void>((resolve) => (this.#arrived = resolve))
      }
    } finally {
      clearTimeout(limit)
    }
  }

  /** Ends the shell, and whatever it still runs. */
  async close(): Promise<void> {
    if (this.#ended) return
    const ended = once(this.#shell, 'exit')
    process.kill(-this.#shell.pid!, 'SIGKILL')
    await ended
  }

  get #ended(): boolean {
    return this.#shell.exitCode !== null || this.#shell.signalCode !== null
  }
}
