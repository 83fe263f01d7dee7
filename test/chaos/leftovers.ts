/** What must not outlive this process, however it ends: other processes by their ids, and mounted volumes. */
import type { ChildProcess } from 'node:child_process'

const tasks = new Set<() => void>()

process.once('exit', () => {
  for (const task of tasks) task()
})

/** Runs the task when this process ends, unless the returned function is called before. It must be synchronous. */
export function atExit(task: () => void): () => void {
  tasks.add(task)
  return () => tasks.delete(task)
}

/** Ends with this process at the latest. */
export function endWithUs(child: ChildProcess): void {
  const forget = atExit(() => child.kill('SIGKILL'))
  child.once('close', forget)
}
