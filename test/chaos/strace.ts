/** Makes a running process' syncs fail or take long, by strace: attached to it, and gone again without a trace. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithUs } from './leftovers.js'

const ATTACH_MS = 300

/** Why it cannot be done here; null: it can. */
export function straceMissing(): string | null {
  const tried = spawnSync('strace', ['-f', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=1', 'true'], {
    encoding: 'utf8',
  })
  if (tried.error !== undefined) return 'faults of the disk need strace'
  return tried.status === 0 ? null : `strace cannot trace here: ${tried.stderr.trim().split('\n')[0]}`
}

export interface Injection {
  /** Detaches. May be called twice. */
  stop(): Promise<void>
}

/** `how`: what strace injects into fdatasync and fsync, such as `error=EIO`. */
export async function inject(pid: number, how: string): Promise<Injection> {
  const faults = ['fdatasync', 'fsync'].flatMap((call) => ['-e', `inject=${call}:${how}`])
  const args = ['-f', '-qq', '-o', '/dev/null', '-p', String(pid), '-e', 'trace=fdatasync,fsync', ...faults]
  const child = spawn('strace', args, { stdio: 'ignore' })
  endWithUs(child)
  const gone = once(child, 'close')
  await sleep(ATTACH_MS)
  return {
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await gone
    },
  }
}
