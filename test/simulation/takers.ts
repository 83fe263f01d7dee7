/**
 * Who takes from quotas in a simulated world: clients that ask a member for each token, and clients that draw tokens and spend all of
 * them by themselves, whenever they like, up to the last moment that their own clock allows. Every admission is written down at its true
 * time, whatever becomes of the answer, and judged over every window.
 */
import { validityMs } from '@leasehold/client/internals'
import {
  type Bandwidth,
  type DrawnFields,
  ERRORS,
  LIMITS,
  OK,
  OP,
  QUOTA_DEFAULTS,
  TAKE,
  type TakeMode,
  type TakenFields,
} from '@leasehold/protocol'
import { Admissions } from '#bench/admissions.js'
import type { Claims } from './claim.js'
import type { Client } from './client.js'
import { RATE_ERROR } from './clocks.js'
import type { Connection } from './connection.js'
import type { Dice } from './dice.js'
import type { Scheduler } from './scheduler.js'

export interface TakersWorld {
  readonly scheduler: Scheduler
  readonly claims: Claims
  readonly finishing: boolean
  /** A connection of its own to a member that takes one; null where none does. */
  reach(number: number): Connection | null
}

interface QuotaPlan {
  readonly name: string
  readonly parent: string | null
  /** As it is made, and what it is changed to from time to time. Both have the same perMs. */
  readonly ways: readonly [Bandwidth, Bandwidth]
}

const SECOND_MS = 1_000
const DRAWERS = 2
const ASKERS = 2
const SPENT_AT_ONCE_MAX = 4
/** How long nobody else takes, at most, while somebody keeps what he has drawn. */
const LULL_MS_MAX = 8_000
const LULL_REACHES = 3
const KEYED_NAME = 'quota/keys'
const KEYED: Bandwidth = { tokens: 20, perMs: SECOND_MS, burst: 20 }

/** Small ones, so that every token counts, and a parent that is tighter than its children together. */
function plansOf(dice: Dice): readonly QuotaPlan[] {
  const way = (tokens: number, burst: number): Bandwidth => ({ tokens, perMs: SECOND_MS, burst })
  const burst = 4 + dice.int(30)
  return [
    { name: 'quota/all', parent: null, ways: [way(12, 24), way(12, 24)] },
    { name: 'quota/a', parent: 'quota/all', ways: [way(10, burst), way(3, Math.ceil(burst / 3))] },
    { name: 'quota/b', parent: 'quota/all', ways: [way(8, 16), way(8, 2)] },
  ]
}

/** The most that either way admits: whatever is set when, no window may have more. */
function boundOf([one, other]: QuotaPlan['ways']): Bandwidth {
  return { ...one, tokens: Math.max(one.tokens, other.tokens), burst: Math.max(one.burst, other.burst) }
}

export class Takers {
  readonly #world: TakersWorld
  readonly #dice: Dice
  readonly #plans: readonly QuotaPlan[]
  readonly #books = new Map<string, Admissions>()
  #ids = 0
  #lull = false
  admitted = 0
  admittedByKey = 0

  constructor(world: TakersWorld, dice: Dice) {
    this.#world = world
    this.#dice = dice
    this.#plans = plansOf(dice)
    for (const { name, ways } of this.#plans) this.#books.set(name, new Admissions([boundOf(ways)], 0))
  }

  /** All that they do, until the world comes to its end. `clients`: who makes and changes the quotas. */
  begin(clients: readonly Client[]): void {
    void this.#govern(clients[0]!)
    for (let i = 0; i < ASKERS; i++) void this.#ask(clients.length + i, this.#dice.fork())
    for (let i = 0; i < DRAWERS; i++) void this.#draw(clients.length + ASKERS + i, this.#dice.fork())
    void this.#hoard(clients.length + ASKERS + DRAWERS, this.#dice.fork())
    void this.#askByKey(clients.length + ASKERS + DRAWERS + 1, this.#dice.fork())
  }

  /** Makes the quotas, and changes them now and then. */
  async #govern(client: Client): Promise<void> {
    const { scheduler } = this.#world
    const set = async ({ name, parent, ways }: QuotaPlan, way: 0 | 1) => {
      const spec = { ...QUOTA_DEFAULTS, bandwidths: [ways[way]], parent }
      const make = () => ({ op: OP.quotaSet, principal: client.name, name, spec, request: null })
      await client.ask(make)
    }
    for (const plan of this.#plans) await set(plan, 0)
    const spec = { ...QUOTA_DEFAULTS, bandwidths: [KEYED], perKey: true }
    await client.ask(() => ({ op: OP.quotaSet, principal: client.name, name: KEYED_NAME, spec, request: null }))
    while (!this.#world.finishing) {
      await scheduler.sleep(this.#dice.between(500, 12_000))
      await set(this.#dice.pick(this.#plans), this.#dice.chance(0.5) ? 0 : 1)
    }
  }

  #admit(quota: string, tokens: number): void {
    const { scheduler, claims } = this.#world
    this.admitted += tokens
    for (let name: string | null = quota; name !== null; name = this.#parentOf(name)) {
      const over = this.#books.get(name)!.admit(tokens, scheduler.nowMs)
      claims.hold(over === null, () => `${name} has admitted ${over!.tokens} tokens too many in a window that ends now`)
    }
  }

  #parentOf(quota: string): string | null {
    return this.#plans.find(({ name }) => name === quota)!.parent
  }

  /** Asks a member for some tokens, now and then, whatever member it comes to. */
  async #ask(number: number, dice: Dice): Promise<void> {
    const { scheduler } = this.#world
    let connection: Connection | null = null
    while (!this.#world.finishing) {
      await scheduler.sleep(dice.between(2, 300))
      if (connection === null || !connection.open || dice.chance(0.02)) {
        connection?.close()
        connection = this.#world.reach(number)
      }
      if (!this.#lull) this.#take(connection, dice.pick(this.#plans).name, 1 + dice.int(3), TAKE.all)
    }
  }

  #take(connection: Connection | null, quota: string, cost: number, mode: TakeMode): void {
    const request = { mode, items: [{ quota, cost, key: null }] }
    const id = ++this.#ids
    connection?.quotas(
      id,
      (desk, to, nowMs) => desk.take(request, to, id, 1, nowMs + 1_000),
      // Taken is taken, also where the answer never arrives.
      (code, fields) => {
        if (code === OK) this.#admit(quota, (fields as TakenFields)[0])
      },
    )
  }

  /**
   * Now and then somebody draws all that he gets of one quota and keeps it to the last moment, while nobody else takes: the bucket fills as far
   * as it may. Then all of it is spent at once, what he has and what there is.
   */
  async #hoard(number: number, dice: Dice): Promise<void> {
    const { scheduler } = this.#world
    while (!this.#world.finishing) {
      await scheduler.sleep(dice.between(2_000, 10_000))
      const { name: quota, ways } = dice.pick(this.#plans)
      const rate = dice.between(1 - RATE_ERROR, 1 + RATE_ERROR)
      this.#lull = true
      await scheduler.sleep(dice.between(100, 1_500))
      const kept = new Tab(0)
      const [connection, sentMs, asked] = [this.#world.reach(number), scheduler.nowMs, ++this.#ids]
      const request = { quota, wanted: ways[0].burst, tab: 0, spent: 0, returned: 0 }
      connection?.quotas(
        asked,
        (desk, to, nowMs) => desk.draw(request, to, to, asked, 1, nowMs + 1_000),
        () => {},
        (code, fields) => {
          const [, granted, validForMs] = fields as DrawnFields
          if (code === OK) kept.has(granted, sentMs + validityMs(validForMs, LIMITS.driftMin) / rate)
        },
      )
      const endMs = scheduler.nowMs + dice.between(LULL_MS_MAX / 4, LULL_MS_MAX)
      while (scheduler.nowMs < endMs && !this.#world.finishing) {
        await scheduler.sleep(20)
        // As late as it may be, and before the connection takes the tab with it.
        if (kept.granted > 0 && kept.endMs - scheduler.nowMs < 21) break
      }
      if (kept.granted > 0) await scheduler.sleep(Math.max(0, Math.min(20, kept.endMs - scheduler.nowMs - 0.01)))
      const tokens = kept.take(Number.POSITIVE_INFINITY, scheduler.nowMs)
      if (tokens > 0) this.#admit(quota, tokens)
      this.#lull = false
      for (let i = 0; i < LULL_REACHES; i++) {
        const other = this.#world.reach(number)
        this.#take(other, quota, ways[0].burst, TAKE.upTo)
        await scheduler.sleep(dice.between(1, 40))
        other?.close()
      }
      connection?.close()
    }
  }

  /** Asks for one key without pause, and for others so rarely that they may never be denied, whatever happens. */
  async #askByKey(number: number, dice: Dice): Promise<void> {
    const { scheduler, claims } = this.#world
    let connection: Connection | null = null
    for (let turn = 0; !this.#world.finishing; turn++) {
      await scheduler.sleep(dice.between(5, 200))
      if (connection === null || !connection.open || dice.chance(0.05)) {
        connection?.close()
        connection = this.#world.reach(number)
      }
      // Half of a burst for each, in all the time that there is.
      const light = dice.chance(0.3)
      const key = light ? `light-${Math.floor(turn / (KEYED.burst / 2))}` : 'heavy'
      const request = { mode: TAKE.all, items: [{ quota: KEYED_NAME, cost: 1, key }] }
      const id = ++this.#ids
      connection?.quotas(
        id,
        (desk, to, nowMs) => desk.take(request, to, id, 1, nowMs + 1_000),
        (code) => {
          if (code === OK) this.admittedByKey++
          const denied = code === ERRORS.QUOTA_EXCEEDED.wire
          claims.hold(!light || !denied, () => `${key} was denied, and asked for half of a burst at most`)
        },
      )
    }
  }

  /** Draws tokens of one quota, and spends them all. */
  async #draw(number: number, dice: Dice): Promise<void> {
    const { scheduler } = this.#world
    const rate = dice.between(1 - RATE_ERROR, 1 + RATE_ERROR)
    const { name: quota } = dice.pick(this.#plans)
    let connection: Connection | null = null
    let tab = new Tab(0)
    while (!this.#world.finishing) {
      await scheduler.sleep(dice.between(5, 250))
      if (connection === null || !connection.open || dice.chance(0.01)) {
        connection?.close()
        connection = this.#world.reach(number)
        tab = new Tab(0)
      }
      if (connection === null) continue
      const { number: id, spent, returned } = tab.reports(dice)
      const request = { quota, wanted: this.#lull ? 0 : dice.int(12), tab: id, spent, returned }
      const sentMs = scheduler.nowMs
      const asked = ++this.#ids
      connection.quotas(
        asked,
        (desk, to, nowMs) => desk.draw(request, to, to, asked, 1, nowMs + 1_000),
        () => {},
        (code, fields) => {
          if (code !== OK) return
          const [of, granted, validForMs] = fields as DrawnFields
          if (of !== tab.number) tab = new Tab(of)
          tab.has(granted, sentMs + validityMs(validForMs, LIMITS.driftMin) / rate)
          this.#spend(quota, tab, dice)
        },
      )
    }
  }

  /** A little now, a little later, the last of it at the last moment. */
  #spend(quota: string, tab: Tab, dice: Dice): void {
    const { scheduler } = this.#world
    const spend = (most: number): void => {
      const tokens = tab.take(most, scheduler.nowMs)
      if (tokens > 0) this.#admit(quota, tokens)
    }
    if (dice.chance(0.5)) spend(dice.int(SPENT_AT_ONCE_MAX))
    scheduler.after(dice.between(0, 1_000), () => spend(dice.int(SPENT_AT_ONCE_MAX)))
    if (dice.chance(0.4)) scheduler.at(tab.endMs - 0.01, () => spend(Number.POSITIVE_INFINITY))
  }
}

/** What a client has drawn, by its own account. Spent and given back it never is twice. */
class Tab {
  readonly number: number
  granted = 0
  spent = 0
  returned = 0
  /** In true time, by the client's own clock. */
  endMs = 0

  constructor(number: number) {
    this.number = number
  }

  has(granted: number, endMs: number): void {
    this.granted = Math.max(this.granted, granted)
    this.endMs = Math.max(this.endMs, endMs)
  }

  take(most: number, nowMs: number): number {
    if (nowMs >= this.endMs) return 0
    const tokens = Math.min(most, this.granted - this.spent - this.returned)
    this.spent += tokens
    return tokens
  }

  /** Gives some back now and then, before it says so. */
  reports(dice: Dice): Tab {
    const left = this.granted - this.spent - this.returned
    if (left > 0 && dice.chance(0.2)) this.returned += 1 + dice.int(left)
    return this
  }
}
