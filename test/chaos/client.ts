/**
 * A client of a cluster, bare: it goes on at another member when its connection breaks, when nothing comes back for too
 * long, and now and then when it is refused. It keeps its session, so that a request sent twice is known as one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Over, type PlayersClient } from '../kill/players.js'
import { RawSession } from '../support/rawsession.js'

/** Nothing came for so long, though something is owed: longer than any wait in a queue that the players ask for. */
const SILENCE_MS_MAX = 4_000
const LOOK_EVERY_MS = 250
const CONNECT_MS_MAX = 2_000
const PAUSE_MS = 20

export interface ChaosClientOptions {
  readonly name: string
  readonly number: number
  readonly urls: readonly string[]
  readonly random: () => number
}

export class ChaosClient implements PlayersClient {
  readonly name: string
  readonly #sessionId: string
  readonly #urls: readonly string[]
  readonly #random: () => number
  #session: RawSession | null = null
  #connecting: Promise<void> | null = null
  #seq = 0
  #over = false
  readonly #watch: NodeJS.Timeout
  #received = 0
  #movedMs = performance.now()

  constructor({ name, number, urls, random }: ChaosClientOptions) {
    this.name = name
    this.#sessionId = number.toString(16).padStart(32, '0')
    this.#urls = urls
    this.#random = random
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS)
  }

  nextSeq(): number {
    return ++this.#seq
  }

  async session(): Promise<RawSession> {
    while (!this.#over && !this.#session?.open) {
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = null
      })
      await this.#connecting
    }
    if (this.#over) throw new Over()
    return this.#session!
  }

  async refused(): Promise<void> {
    if (this.#random() < 0.05) this.#session?.terminate()
    await sleep(PAUSE_MS * (0.5 + this.#random()))
  }

  /** One attempt at any member. */
  async #connect(): Promise<void> {
    const url = this.#urls[Math.floor(this.#random() * this.#urls.length)]!
    const connecting = RawSession.connect(url, this.name, this.#sessionId)
    const session = await Promise.race([connecting.catch(() => null), sleep(CONNECT_MS_MAX, null)])
    if (session !== null) {
      this.#session = session
      this.#movedMs = performance.now()
      return
    }
    // One that is late is of no use any more.
    connecting.then(
      (late) => late.terminate(),
      () => {},
    )
    await sleep(PAUSE_MS)
  }

  #look(): void {
    const session = this.#session
    if (session === null || !session.open) return
    const nowMs = performance.now()
    if (session.pending === 0 || session.received !== this.#received) this.#movedMs = nowMs
    this.#received = session.received
    if (nowMs - this.#movedMs > SILENCE_MS_MAX) session.terminate()
  }

  /** Ends all lives: whoever waits or asks is told Over. */
  over(): void {
    this.#over = true
    clearInterval(this.#watch)
    this.#session?.terminate()
  }
}
