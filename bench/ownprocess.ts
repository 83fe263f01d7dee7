/**
 * A scenario in a process of its own: it finds neither the heap nor the compiled code that others have left behind, so that its figures do
 * not depend on what ran before it.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ScenarioReport } from './report.js'
import type { RunOptions } from './run.js'

/** What the process is asked for; it answers with the report. */
export interface Asked {
  readonly scenario: string
  readonly options: Omit<RunOptions, 'say' | 'network'>
  readonly parent: string
}

/** `under`: put in front of its command. Rejects where the process ends without a report; it has said why on standard error. */
export function inOwnProcess(asked: Asked, under: readonly string[] = []): Promise<ScenarioReport> {
  return new Promise((resolve, reject) => {
    const [execPath, ...execArgv] = [...under, process.execPath]
    const options = { execPath, execArgv, serialization: 'advanced' } as const
    const child = fork(fileURLToPath(new URL('./ownprocessmain.js', import.meta.url)), options)
    let report: ScenarioReport | null = null
    child.on('message', (message) => {
      report = message as ScenarioReport
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (report !== null && code === 0) resolve(report)
      else reject(new Error(`the process of ${asked.scenario} ended with ${signal ?? code}`))
    })
    child.send(asked)
  })
}
