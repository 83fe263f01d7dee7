/** Starts real `leasehold` processes for tests, and ends them. Every process has a test that owns it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dispatch } from '@leasehold/server/cli'
import type { Test } from 'tap'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

export const MAIN = fileURLToPath(new URL('../../../server/dist/cli/main.js', import.meta.url))

type Env = Readonly<Record<string, string | undefined>>

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Started {
  readonly child: ChildProcess
  readonly pid: number
  /** What it has written so far. */
  out(): string
  err(): string
  /** Resolves once the text has come on stdout or stderr; rejects when the process ends without it. */
  said(text: string | RegExp): Promise<RegExpExecArray>
  readonly done: Promise<Outcome>
}

/** The tests' own environment, without what would change the defaults. */
function environment(extra: Env): NodeJS.ProcessEnv {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_') && name !== 'NO_COLOR')
  return { ...Object.fromEntries(clean), ...extra }
}

export function startLeasehold(args: readonly string[], env: Env = {}, cwd?: string): Started {
  const [program, ...before] = WITHOUT_RUNNER
  const child = spawn(program, [...before, process.execPath, MAIN, ...args], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  let out = ''
  let err = ''
  const changed = new Set<() => void>()
  const add = (take: (text: string) => void) => (text: string) => {
    take(text)
    for (const listener of changed) listener()
  }
  child.stdout.setEncoding('utf8').on(
    'data',
    add((text) => {
      out += text
    }),
  )
  child.stderr.setEncoding('utf8').on(
    'data',
    add((text) => {
      err += text
    }),
  )
  const done = once(child, 'close').then(([code, signal]) => ({ code, signal, out, err }) as Outcome)
  const said = (text: string | RegExp) => {
    const pattern = typeof text === 'string' ? new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')) : text
    return new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(out) ?? pattern.exec(err)
        if (found !== null) {
          changed.delete(look)
          resolve(found)
        }
      }
      changed.add(look)
      void done.then(() => {
        changed.delete(look)
        reject(new Error(`ended without saying ${pattern}: ${out}${err}`))
      })
      look()
    })
  }
  return { child, pid: child.pid ?? 0, out: () => out, err: () => err, said, done }
}

/** Runs a command to its end. */
export function leasehold(args: readonly string[], env: Env = {}): Promise<Outcome> {
  return startLeasehold(args, env).done
}

/** Runs a command to its end in this process: what it does and says, without a start of a process for each. */
export async function inProcess(args: readonly string[], env: Env = {}): Promise<Outcome> {
  let out = ''
  let err = ''
  const code = await dispatch(args, {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    env,
    color: false,
    signal: new AbortController().signal,
  })
  return { code, signal: null, out, err }
}

export interface Server extends Started {
  readonly url: string
  readonly data: string
}

/** A folder that goes when the test does. */
export function scratch(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-cli-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Mounts, or says why it cannot be done here (only root may). */
export function mounted(t: Test, ...args: string[]): boolean {
  try {
    execFileSync('mount', args, { stdio: 'pipe' })
    t.teardown(() => execFileSync('umount', ['-l', args.at(-1) ?? '']))
    return true
  } catch (error) {
    t.comment(`NOT TRIED: mount ${args.join(' ')}: ${(error as Error).message}`)
    return false
  }
}

/** A server on a free port, ended with the test. Resolves once it serves. */
export async function serving(t: Test, data: string, args: readonly string[] = [], env: Env = {}): Promise<Server> {
  const server = startLeasehold(['serve', '--data', data, '--listen', '127.0.0.1:0', ...args], env)
  t.teardown(async () => {
    server.child.kill('SIGKILL')
    await server.done
  })
  const [, url = ''] = await server.said(/"event":"serving","url":"([^"]+)"/)
  return { ...server, url, data }
}
