/** The watches that have a place on the connection, by the id of the request that opened them: whom a push is for. */
import type { Push } from '@leasehold/protocol'

export interface Watching {
  event(cursor: string, fields: readonly unknown[]): void
  /** The server ends it: the wire number of an error, and why. */
  ended(code: number, detail: string): void
  /** The connection is gone, and the watch with it. */
  lost(): void
}

export class Watches {
  readonly #byId = new Map<number, Watching>()

  add(id: number, watching: Watching): void {
    this.#byId.set(id, watching)
  }
  remove(id: number): void {
    this.#byId.delete(id)
  }

  push(push: Push): void {
    if (push[0] === 'event') this.#byId.get(push[1])?.event(push[2], push[3])
    else if (push[0] === 'watchEnd') this.#byId.get(push[1])?.ended(push[2], push[3])
  }

  lost(): void {
    const all = [...this.#byId.values()]
    this.#byId.clear()
    for (const watching of all) watching.lost()
  }
}
