/** Does something a fixed number of times, with a bounded number of them in flight: for preparing what a load needs. */

/** Begins item `n`; `done` is called exactly once, and not before this has returned. */
export type Item = (n: number, done: (ok: boolean) => void) => void

/** Resolves when all have ended well; rejects at the end when some have not. */
export function fill(count: number, inFlight: number, item: Item): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0
    let ended = 0
    let failed = 0
    const done = (ok: boolean) => {
      ended++
      if (!ok) failed++
      if (next < count) item(next++, done)
      else if (ended === count && failed === 0) resolve()
      else if (ended === count) reject(new Error(`${failed} of ${count} failed while the load was prepared`))
    }
    if (count === 0) resolve()
    const first = Math.min(count, inFlight)
    while (next < first) item(next++, done)
  })
}
