/**
 * The fence in a Level database (any abstract-level sublevel with UTF-8 keys and values): beside the data it protects, so
 * that both are written in one batch. Atomic within one process, which is all that a Level database ever has.
 */
import { LeaseholdError } from '../errors.js'
import { checkedToken, FencedError, type FenceStore } from './fence.js'

/** What of abstract-level is needed here; a sublevel of `level` fits. */
export interface LevelLike<Operation> {
  get(key: string): Promise<string | undefined>
  batch(operations: Operation[], options?: { sync?: boolean }): Promise<void>
}

interface Put {
  readonly type: 'put'
  readonly key: string
  readonly value: string
}

export interface LevelFenceStore<Operation> extends FenceStore {
  /**
   * Checks the token and writes the operations in the same synced batch as the token: no later holder's write can come in
   * between. Throws FencedError, and then writes nothing.
   */
  write(resource: string, token: number, operations: readonly Operation[]): Promise<void>
}

/**
 * `level` holds the tokens, one key per resource, and nothing else. Operations of write() are of the same level: give those
 * of other sublevels with their `sublevel` option.
 */
export function levelFenceStore<Operation = Put>(level: LevelLike<Operation | Put>): LevelFenceStore<Operation> {
  const lines = new Map<string, Promise<unknown>>()
  /** One after the other for each resource. */
  const inLine = <T>(resource: string, task: () => Promise<T>): Promise<T> => {
    const before = lines.get(resource) ?? Promise.resolve()
    const mine = before.then(task, task)
    const settled = mine.catch(() => {})
    lines.set(resource, settled)
    settled.then(() => {
      if (lines.get(resource) === settled) lines.delete(resource)
    })
    return mine
  }
  const highestOf = async (resource: string): Promise<number> => {
    const text = await level.get(resource)
    if (text === undefined) return 0
    const highest = Number(text)
    if (Number.isSafeInteger(highest) && highest > 0) return highest
    // A fence that cannot read its mark must not open.
    const detail = `the fencing token of ${resource} cannot be read: ${JSON.stringify(text.slice(0, 64))}`
    throw new LeaseholdError('INTERNAL', detail, { executed: 'no' })
  }
  const put = (resource: string, token: number): Put => ({ type: 'put', key: resource, value: String(token) })
  return {
    raise: (resource, token) =>
      inLine(resource, async () => {
        const highest = await highestOf(resource)
        if (token > highest) await level.batch([put(resource, token)], { sync: true })
        return Math.max(token, highest)
      }),
    write: (resource, token, operations) =>
      inLine(resource, async () => {
        const highest = await highestOf(resource)
        if (checkedToken(token) < highest) throw new FencedError(resource, token, highest)
        await level.batch([...operations, put(resource, token)], { sync: true })
      }),
  }
}
