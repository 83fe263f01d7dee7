/**
 * The configurations that a search has been in: which known operations are placed, the state that they left, and which
 * unknown ones were used. One that used fewer unknown ones can do all that one with more can; so of those that
 * agree in the rest, only the least are kept, and whatever used as much or more counts as seen.
 */

/** How many of each class of interchangeable unknown operations are used. */
export type Used = Uint32Array

export class Seen {
  readonly #least = new Map<string, Used[]>()
  /** Configurations kept. */
  size = 0

  /** True where nothing like it was there before. Keeps it then; `used` must not change afterwards. */
  add(place: string, used: Used): boolean {
    const known = this.#least.get(place)
    if (known === undefined) {
      this.#least.set(place, [used])
      this.size++
      return true
    }
    for (const one of known) if (covers(one, used)) return false
    let kept = 0
    for (const one of known) if (!covers(used, one)) known[kept++] = one
    this.size += kept + 1 - known.length
    known.length = kept
    known.push(used)
    return true
  }
}

/** Whether `a` used at most as many of each class as `b`. */
function covers(a: Used, b: Used): boolean {
  for (let i = 0; i < a.length; i++) if (a[i]! > b[i]!) return false
  return true
}
