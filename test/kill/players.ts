/**
 * The load of a kill test: players that each live a life of grants over the bare session, as fast as they are answered.
 * When the connection breaks, some ask again under the same request token and some never do.
 */
import { OP, type Reply } from '@leasehold/protocol'
import { RawSession } from '../support/rawsession.js'
import type { Outcome } from './history.js'
import type { Recorded, Recorder, Wish } from './recorder.js'

/** A generator of numbers in [0, 1) from a seed (mulberry32, by Tommy Ettinger, public domain). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Thrown where a player's life ends with its process' run: the test is over. */
export class Over extends Error {}

/** What a player needs of a client. */
export interface PlayersClient {
  /** A session that is connected; waits for one. Throws Over where none will come. */
  session(): Promise<RawSession>
  nextSeq(): number
  /** Told that a request was refused and nothing was done; resolves when it is right to ask again. */
  refused(): Promise<void>
}

/** One client: a session that outlives connections and servers. */
export class KillClient implements PlayersClient {
  readonly name: string
  readonly #sessionId: string
  #session: RawSession | null = null
  #over = false
  /** Those who wait for a connection. */
  #waiting: (() => void)[] = []
  #seq = 0

  constructor(name: string, number: number) {
    this.name = name
    this.#sessionId = number.toString(16).padStart(32, '0')
  }

  async connect(url: string): Promise<void> {
    this.#session = await RawSession.connect(url, this.name, this.#sessionId)
    this.#wake()
  }

  /** Nobody is to wait for another connection. */
  over(): void {
    this.#over = true
    this.#session?.terminate()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** How many answers are owed. */
  get pending(): number {
    return this.#session?.pending ?? 0
  }

  /** A session that is connected; waits for one. Throws Over where none will come. */
  async session(): Promise<RawSession> {
    while (!this.#over && !this.#session?.open) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.#over) throw new Over()
    return this.#session!
  }

  nextSeq(): number {
    return ++this.#seq
  }

  async refused(): Promise<void> {}
}

export interface PlayerOptions {
  readonly client: PlayersClient
  readonly recorder: Recorder
  readonly random: () => number
  readonly holder: string
  readonly ttlMs: number
}

/** What the lives have in common: asking, and asking again. */
export class Player {
  readonly holder: string
  readonly random: () => number
  readonly #client: PlayersClient
  readonly #recorder: Recorder
  readonly #ttlMs: number

  constructor(options: PlayerOptions) {
    this.#client = options.client
    this.#recorder = options.recorder
    this.random = options.random
    this.holder = options.holder
    this.#ttlMs = options.ttlMs
  }

  /** Null: the outcome is unknown for ever. */
  acquire(name: string, waitMs = 0): Promise<Outcome | null> {
    const seq = this.#client.nextSeq()
    let knownMs: number | null = null
    return this.#ask({ op: 'acquire', name, holder: this.holder }, (session, attempt) => {
      knownMs ??= session.welcome.clusterMs
      const fields = [seq, 1, knownMs, name, this.holder, this.#ttlMs, waitMs, 0, 0, null]
      return session.send(OP.acquire, fields, attempt).last
    })
  }
  renew(name: string, token: number): Promise<Outcome | null> {
    const wish: Wish = { op: 'renew', name, holder: this.holder, token }
    return this.#ask(wish, (session, attempt) => session.send(OP.renew, [name, token], attempt).last)
  }
  release(name: string, token: number): Promise<Outcome | null> {
    const wish: Wish = { op: 'release', name, holder: this.holder, token }
    return this.#ask(wish, (session, attempt) => session.send(OP.release, [name, token], attempt).last)
  }
  transfer(name: string, token: number, to: string): Promise<Outcome | null> {
    const wish: Wish = { op: 'transfer', name, holder: this.holder, token, to }
    return this.#ask(wish, (session, attempt) => session.send(OP.transfer, [name, token, to], attempt).last)
  }

  async #ask(wish: Wish, send: (session: RawSession, attempt: number) => Promise<Reply>): Promise<Outcome | null> {
    let session = await this.#client.session()
    const one: Recorded = this.#recorder.sending(wish)
    for (let attempt = 1; ; attempt++) {
      try {
        const outcome = this.#recorder.answered(one, await send(session, attempt))
        if (outcome !== null) return outcome
        await this.#client.refused()
      } catch (error) {
        if (error instanceof Over) throw error
        // Half of those whose connection broke never learn what became of it.
        if (this.random() < 0.5) return null
      }
      session = await this.#client.session()
      this.#recorder.again(one)
    }
  }
}

/** Acquires a name of its own, renews, releases, again and again. A name whose fate is unknown is left alone. */
export async function soloLife(player: Player, prefix: string): Promise<never> {
  for (let turn = 0; ; turn++) {
    const name = `${prefix}/${turn}`
    for (let grants = 0; grants < 50; grants++) {
      const grant = await player.acquire(name)
      if (grant?.kind !== 'granted') break
      let known = true
      for (let renewals = Math.floor(player.random() * 3); renewals > 0 && known; renewals--)
        known = (await player.renew(name, grant.token))?.kind === 'granted'
      if (!known) break
      // Some grants are left to end by themselves.
      if (player.random() < 0.05 || (await player.release(name, grant.token)) === null) break
    }
  }
}

/** Waits for a name that others want too, claims, renews, then releases it or passes it on to a rival. */
export async function rivalLife(player: Player, name: string, rivals: readonly string[]): Promise<never> {
  for (;;) {
    const first = await player.acquire(name, 2_000)
    if (first === null || first.kind === 'ended' || first.kind === 'refused' || first.kind === 'lost') continue
    const { token } = first
    if (first.kind === 'offered' && (await player.renew(name, token))?.kind !== 'granted') continue
    if (player.random() < 0.5 && (await player.renew(name, token))?.kind !== 'granted') continue
    const to = rivals[Math.floor(player.random() * rivals.length)]!
    const passed = player.random() < 0.3 ? await player.transfer(name, token, to) : null
    if (passed?.kind !== 'ended') await player.release(name, token)
  }
}
