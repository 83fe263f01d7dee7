/**
 * A scratch copy of the repository: its sources, its packages by links, and its own workspaces in their place, so that
 * what is changed there is what its tests run. Must never write to the tree that it was copied from.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Tested, Workshop } from './judge.js'

const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.tap', 'data', 'results'])
const BUILD_LIMIT_MS = 120_000
const OUTPUT_CHARS_MAX = 20_000
const WORKSPACES = ['protocol', 'server', 'client']

/** Runs a program to its end, with its whole process group killed when the time is over. */
export function run(
  cwd: string,
  args: readonly string[],
  timeLimitMs: number,
): Promise<{ code: number | null; output: string; timedOut: boolean }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let timedOut = false
    const keep = (chunk: Buffer) => {
      if (output.length < OUTPUT_CHARS_MAX) output += chunk.toString()
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const killGroup = () => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // It has ended by itself in the meantime.
      }
    }
    const timer = setTimeout(() => {
      timedOut = true
      killGroup()
    }, timeLimitMs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      killGroup()
      resolve({ code, output, timedOut })
    })
  })
}

export class Scratch implements Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), 'leasehold-faults-'))

  constructor(root: string) {
    cpSync(root, this.directory, { recursive: true, filter: (path) => path === root || !LEFT_OUT.has(basename(path)) })
    const packages = join(root, 'node_modules')
    const links = join(this.directory, 'node_modules')
    mkdirSync(join(links, '@leasehold'), { recursive: true })
    for (const name of readdirSync(packages)) {
      if (name !== '@leasehold') symlinkSync(join(packages, name), join(links, name))
    }
    for (const name of WORKSPACES) symlinkSync(join(this.directory, name), join(links, '@leasehold', name))
  }

  read(file: string): string {
    return readFileSync(join(this.directory, file), 'utf8')
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.directory, file), text)
  }

  async build(): Promise<string | null> {
    const { code, output } = await run(this.directory, ['node_modules/typescript/bin/tsc', '-b'], BUILD_LIMIT_MS)
    return code === 0 ? null : output || `the compiler ended with ${code}`
  }

  async test(file: string, timeLimitMs: number): Promise<Tested> {
    const { code, output, timedOut } = await run(this.directory, ['--enable-source-maps', file], timeLimitMs)
    return { outcome: timedOut ? 'timed out' : code === 0 ? 'passed' : 'failed', output }
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
