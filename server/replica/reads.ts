/**
 * Read barriers: all that was committed before the call is applied here when one resolves. Calls share rounds of the core's
 * read-index: one round is under way at a time, and whoever comes meanwhile joins the next one, never the one that began before
 * the call. A round that gets no answer is asked for again; a caller hears NO_QUORUM in bounded time.
 */
import { ProtocolError } from '@leasehold/protocol'
import type { Random } from '../ports/index.js'
import type { ReadState } from '../raft/index.js'
import { REPLICA_LIMITS } from './limits.js'

interface Round {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly beganMs: number
  /** The first number that was asked for it; an answer to any later one serves, too. */
  first: number
  askedMs: number
  /** What must be applied; 0 while unknown. */
  index: number
}

export interface ReadsOptions {
  readonly nowMs: () => number
  /** Numbers begin above this: never one that an earlier process of this member used. */
  readonly from: number
  /** Asks the core; the answer comes through `answered`. */
  readonly ask: (read: number) => void
  readonly applied: () => number
}

/** Reads of one process are numbered from a random number below this. */
const READS_FROM = 2 ** 44

export function firstRead(random: Random): number {
  return Math.floor(random.next() * READS_FROM)
}

export class Reads {
  readonly #options: ReadsOptions
  #last: number
  #asked: Round | null = null
  #next: Round | null = null
  /** Answered, and not yet applied. */
  readonly #landing: Round[] = []

  constructor(options: ReadsOptions) {
    this.#options = options
    this.#last = options.from
  }

  barrier(): Promise<void> {
    if (this.#asked === null) {
      const round = this.#open()
      this.#asked = round
      this.#ask(round)
      return round.promise
    }
    this.#next ??= this.#open()
    return this.#next.promise
  }

  answered(states: readonly ReadState[]): void {
    for (const { read, index } of states) {
      const round = this.#asked
      // Refused ones are asked for again at a tick.
      if (round === null || read < round.first || index === 0) continue
      round.index = index
      this.#landing.push(round)
      this.#asked = this.#next
      this.#next = null
      if (this.#asked !== null) this.#ask(this.#asked)
    }
    if (this.#landing.length > 0) this.applied()
  }

  /** More was applied. */
  applied(): void {
    if (this.#landing.length === 0) return
    const index = this.#options.applied()
    while (this.#landing.length > 0 && this.#landing[0]!.index <= index) this.#landing.shift()!.resolve()
  }

  tick(): void {
    const nowMs = this.#options.nowMs()
    const late = (round: Round) => nowMs - round.beganMs >= REPLICA_LIMITS.readMsMax
    while (this.#landing.length > 0 && late(this.#landing[0]!)) this.#refuse(this.#landing.shift()!)
    if (this.#asked !== null && late(this.#asked)) {
      this.#refuse(this.#asked)
      this.#asked = this.#next
      this.#next = null
      if (this.#asked !== null) this.#ask(this.#asked)
    }
    if (this.#asked !== null && nowMs - this.#asked.askedMs >= REPLICA_LIMITS.readAgainMs) this.#ask(this.#asked)
  }

  /** Nobody will answer any more. */
  close(): void {
    for (const round of this.#landing.splice(0)) this.#refuse(round)
    if (this.#asked !== null) this.#refuse(this.#asked)
    if (this.#next !== null) this.#refuse(this.#next)
    this.#asked = this.#next = null
  }

  #open(): Round {
    let resolve = () => {}
    let reject: (error: Error) => void = () => {}
    const promise = new Promise<void>((done, failed) => {
      resolve = done
      reject = failed
    })
    return { promise, resolve, reject, beganMs: this.#options.nowMs(), first: 0, askedMs: 0, index: 0 }
  }

  #ask(round: Round): void {
    const read = ++this.#last
    if (round.first === 0) round.first = read
    round.askedMs = this.#options.nowMs()
    this.#options.ask(read)
  }

  #refuse(round: Round): void {
    round.reject(new ProtocolError('NO_QUORUM', 'nobody could tell what is committed'))
  }
}
