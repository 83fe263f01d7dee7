/**
 * The last guard: a resource that remembers the highest fencing token it has seen and refuses every lower one. Whoever
 * has lost a lease without knowing it (a pause, a suspended machine) is stopped here, whatever its clock says.
 * The store must keep the token with the resource, and raise it atomically.
 */
import { checkToken } from '@leasehold/protocol'
import { LeaseLostError, refusedHere } from '../errors.js'

export interface FenceStore {
  /**
   * Raises the resource's highest token to `token` where that is higher, and returns the highest as it is then.
   * Atomic: of two at once, each sees the other's token or is seen by it.
   */
  raise(resource: string, token: number): Promise<number> | number
}

/** A token below the highest that the resource has seen: its grant was superseded. */
export class FencedError extends LeaseLostError {
  override readonly name = 'FencedError'
  readonly resource: string
  /** The highest token that the resource has seen. */
  readonly highest: number

  constructor(resource: string, token: number, highest: number) {
    super(resource, token, 'superseded', 'no')
    this.resource = resource
    this.highest = highest
  }
}

export interface Fence {
  /** Resolves where the token is the highest so far, or the same again; throws FencedError otherwise, INVALID_ARGUMENT for what is no token. */
  check(resource: string, token: number): Promise<void>
}

export function createFence(store: FenceStore): Fence {
  return {
    async check(resource, token) {
      const highest = await store.raise(resource, checkedToken(token))
      if (token < highest) throw new FencedError(resource, token, highest)
    },
  }
}

/** A store in this process's memory: for tests, and for resources that live no longer than the process. */
export function memoryFenceStore(): FenceStore {
  const highest = new Map<string, number>()
  return {
    raise(resource, token) {
      const raised = Math.max(token, highest.get(resource) ?? 0)
      highest.set(resource, raised)
      return raised
    },
  }
}

/** Throws LeaseholdError INVALID_ARGUMENT. */
export function checkedToken(token: unknown): number {
  try {
    return checkToken(token)
  } catch (error) {
    throw refusedHere(error)
  }
}
