/** Facts about the machine and the code, so that a report can be judged later. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import type { Machine } from './report.js'

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}

function revision(): string {
  try {
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

export function machineFacts(): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryMB: Math.round(totalmem() / 1e6),
    loadAverage: loadavg()[0] ?? 0,
    platform: `${platform()} ${release()}`,
    node: process.versions.node,
    revision: revision(),
  }
}
