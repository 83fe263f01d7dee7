/**
 * Leadership handed over on purpose (Ongaro's thesis 3.10): the target is brought up to date, then told to campaign at once. If it does not
 * take over within an election timeout, this leader goes on.
 */
import type { Cohort } from './cohort.js'
import type { Node } from './node.js'
import { type LogEntry, MESSAGE, type PeerId } from './types.js'

export class Transfer<E extends LogEntry> {
  readonly #node: Node<E>
  readonly #cohort: Cohort<E>
  #to: PeerId | null = null
  #deadlineTick = 0
  #told = false

  constructor(node: Node<E>, cohort: Cohort<E>) {
    this.#node = node
    this.#cohort = cohort
  }

  /** Nothing should be proposed meanwhile: the target would have to catch up with it. */
  get underWay(): boolean {
    return this.#to !== null
  }

  begin(to: PeerId, nowTick: number): boolean {
    if (this.#to !== null) return this.#to === to
    const progress = this.#cohort.get(to)
    const able = progress?.linked && progress.state === 'replicate' && this.#node.membership.stays(to)
    if (!able) return false
    this.#to = to
    this.#deadlineTick = nowTick + this.#node.limits.electionTicksMin
    this.#told = false
    this.proceed()
    return true
  }

  /** Tells the target once it has everything. */
  proceed(): void {
    if (this.#to === null || this.#told) return
    const { outbox, term, log } = this.#node
    if (this.#cohort.get(this.#to)?.match !== log.last) return
    outbox.send(this.#to, { kind: MESSAGE.timeoutNow, term })
    this.#told = true
  }

  tick(nowTick: number): void {
    if (nowTick >= this.#deadlineTick) this.#to = null
  }

  /** It cannot take over any more. */
  lost(peer: PeerId): void {
    if (this.#to === peer) this.#to = null
  }

  reconfigured(): void {
    if (this.#to !== null && !this.#node.membership.stays(this.#to)) this.#to = null
  }
}
