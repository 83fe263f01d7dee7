/**
 * Listening to a caller's signal, for as long as somebody waits under it and no longer. However many wait, the signal has one
 * listener: it walks through all that it has for each one that comes or goes, and Node warns of the eleventh.
 */

const nothing = () => {}

/** Those who wait under one signal. */
class Waits {
  readonly #signal: AbortSignal
  readonly #tasks = new Set<{ readonly run: () => void }>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Returns how to leave; safe to call twice. */
  join(run: () => void): () => void {
    const task = { run }
    if (this.#tasks.size === 0) this.#signal.addEventListener('abort', this.#fire)
    this.#tasks.add(task)
    return () => this.#leave(task)
  }

  #leave(task: { readonly run: () => void }): void {
    if (this.#tasks.delete(task) && this.#tasks.size === 0) this.#signal.removeEventListener('abort', this.#fire)
  }

  readonly #fire = (): void => {
    // Who comes now comes too late, and who leaves because of one in front of him is not called.
    for (const task of [...this.#tasks]) {
      if (!this.#tasks.has(task)) continue
      this.#leave(task)
      task.run()
    }
  }
}

const bySignal = new WeakMap<AbortSignal, Waits>()

/** Calls `task` once when the signal fires (not when it has already fired). Returns how to stop listening. */
export function onAbort(signal: AbortSignal | undefined, task: () => void): () => void {
  if (signal === undefined) return nothing
  let waits = bySignal.get(signal)
  if (waits === undefined) {
    waits = new Waits(signal)
    bySignal.set(signal, waits)
  }
  return waits.join(task)
}
