/** One shell that lives on from block to block, as a reader's terminal does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

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
    })
    this.#shell.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#arrived()
    })
    this.#shell.once('exit', () => this.#arrived())
    this.#shell.stdin!.write('exec 2>&1\n')
  }

  /** Runs a block; resolves with what it printed, and the exit code of its last command. */
  async run(block: string): Promise<{ output: string; code: number }> {
    const mark = randomUUID()
    this.#shell.stdin!.write(`${block}\necho "${mark} $?"\n`)
    const end = new RegExp(`${mark} (\\d+)\n`)
    for (;;) {
      const found = end.exec(this.#output)
      if (found !== null) {
        const output = this.#output.slice(0, found.index)
        this.#output = this.#output.slice(found.index + found[0].length)
        return { output, code: Number(found[1]) }
      }
      if (this.#shell.exitCode !== null) throw new Error(`the shell ended: ${this.#output}`)
      await new Promise<void>((resolve) => (this.#arrived = resolve))
    }
  }

  async close(): Promise<void> {
    if (this.#shell.exitCode !== null) return
    const ended = once(this.#shell, 'exit')
    this.#shell.stdin!.end()
    await ended
  }
}
