/**
 * Keeps a command within a lease: renews while there is time, tells the command to end when renewals fail, and kills it
 * before anybody else may hold the lease. Decides by the lease's own clock alone, and never signals anything but the
 * command's process group.
 */

/** Of the ttl: below these shares of it the lease is renewed, the command is told to end (TERM), and killed. */
export const SHARES = { renew: 2 / 3, term: 1 / 4, kill: 1 / 10 } as const
/** A look at the lease at least so often, whatever its ttl. */
const LOOK_MS_MAX = 1_000
const LOOK_MS_MIN = 5

/** The part of a lease that this needs. */
export interface Grant {
  /** Never throws; 0 once the lease is lost. */
  remainingMs(): number
  /** Resolves once it was renewed; rejects when that fails. */
  renew(): Promise<unknown>
  /** Fires when the lease is lost. */
  lostSignal(): AbortSignal
}

/** The command's process group. */
export interface Group {
  signal(name: 'SIGTERM' | 'SIGKILL'): void
}

/** `held`: all is well. `told`: TERM was sent. `killed`: KILL was sent. Only moves forward. */
export type Stage = 'held' | 'told' | 'killed'

/** What has to be done with so much time left. */
export function judge(stage: Stage, remainingMs: number, ttlMs: number): 'wait' | 'renew' | 'tell' | 'kill' {
  if (stage === 'killed') return 'wait'
  if (remainingMs <= ttlMs * SHARES.kill) return 'kill'
  if (stage === 'told') return 'wait'
  if (remainingMs <= ttlMs * SHARES.term) return 'tell'
  return remainingMs <= ttlMs * SHARES.renew ? 'renew' : 'wait'
}

/** How long to wait before the next look, so that no threshold is passed by more than timers are late. */
export function nextLookMs(stage: Stage, remainingMs: number, ttlMs: number): number {
  const share = stage === 'told' ? SHARES.kill : remainingMs > ttlMs * SHARES.renew ? SHARES.renew : SHARES.term
  return Math.max(LOOK_MS_MIN, Math.min(LOOK_MS_MAX, ttlMs / 10, remainingMs - ttlMs * share))
}

export class Supervisor {
  stage: Stage = 'held'
  readonly #grant: Grant
  readonly #group: Group
  readonly #ttlMs: number
  readonly #onStage: (stage: Stage) => void
  readonly #look = () => this.#tick()
  #renewing = false
  #timer: NodeJS.Timeout | null = null

  constructor(grant: Grant, group: Group, ttlMs: number, onStage: (stage: Stage) => void) {
    this.#grant = grant
    this.#group = group
    this.#ttlMs = ttlMs
    this.#onStage = onStage
  }

  start(): void {
    this.#grant.lostSignal().addEventListener('abort', this.#look, { once: true })
    this.#tick()
  }

  /** Stops renewing and signalling. Safe to call twice. */
  stop(): void {
    this.#grant.lostSignal().removeEventListener('abort', this.#look)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.stage = 'killed'
  }

  #tick(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.stage === 'killed') return
    const remainingMs = this.#grant.remainingMs()
    const verdict = judge(this.stage, remainingMs, this.#ttlMs)
    if (verdict === 'kill') {
      this.#move('killed', 'SIGKILL')
      return
    }
    if (verdict === 'tell') this.#move('told', 'SIGTERM')
    if (verdict === 'renew') this.#renew()
    this.#timer = setTimeout(this.#look, nextLookMs(this.stage, remainingMs, this.#ttlMs))
  }

  #move(stage: Stage, signal: 'SIGTERM' | 'SIGKILL'): void {
    this.stage = stage
    this.#group.signal(signal)
    // After the signal: nothing may keep it back. What the command says about it may so come first.
    this.#onStage(stage)
  }

  /** One at a time; a failed one is tried again at the next look (the library spaces its attempts). */
  #renew(): void {
    if (this.#renewing) return
    this.#renewing = true
    const done = () => {
      this.#renewing = false
    }
    this.#grant.renew().then(done, done)
  }
}
