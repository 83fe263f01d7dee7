/** Listening to a caller's signal, for as long as the wait lasts and no longer. */

const nothing = () => {}

/** Calls `task` once when the signal fires (not when it has already fired). Returns how to stop listening. */
export function onAbort(signal: AbortSignal | undefined, task: () => void): () => void {
  if (signal === undefined) return nothing
  signal.addEventListener('abort', task, { once: true })
  return () => signal.removeEventListener('abort', task)
}
