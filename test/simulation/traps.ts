/**
 * The clock traps: one lease in one simulated world, from the real client over a virtual network to the real session,
 * replica and machine over a disk in RAM, each side's clocks at a rate of their own. A rival asks for the same name, more
 * and more often towards its end. The client's check must say 0 before the rival has it, and ever after.
 */
import { type Client, type Lease, LeaseholdError } from '@leasehold/client'
import { Grant, type Mark } from '@leasehold/client/internals'
import {
  createTestCluster,
  SeededRandom,
  type Tampering,
  type TestCluster,
  type TestMachine,
} from '@leasehold/client/testing'
import { FRAME_KIND, type GrantedFields, OK, OP } from '@leasehold/protocol'
import type { Recipient } from '@leasehold/server/replica'

export const TRAPS = ['lost-reply', 'late-joiner', 'late-claim', 'late-reply'] as const
export type Trap = (typeof TRAPS)[number]

export interface Outcome {
  readonly trap: Trap
  readonly ttlMs: number
  /** A lease came out of it, and a rival had the name after it: something was checked. */
  readonly judged: boolean
  /** What went wrong, or null. */
  readonly violation: string | null
}

/** The fastest and slowest clocks that are assumed. */
const RATE_ERROR = 0.005
const NAME = 'trap/lease'

class World {
  readonly random: SeededRandom
  readonly ttlMs: number
  readonly cluster: TestCluster
  readonly machine: TestMachine
  readonly client: Client
  /** Latency of a message in either direction, unless a trap says otherwise. */
  readonly latencyMsMax: number
  #judged = false
  #violation: string | null = null

  constructor(random: SeededRandom, ttlMs: number, latencyMsMax: number, cluster: TestCluster) {
    this.random = random
    this.ttlMs = ttlMs
    this.latencyMsMax = latencyMsMax
    this.cluster = cluster
    this.machine = this.newMachine()
    this.client = cluster.client({ name: 'holder', machine: this.machine, timeout: 60_000 })
    cluster.network.latencyMs = () => this.latency()
  }

  get nowMs(): number {
    return this.cluster.time.nowMs
  }
  latency(): number {
    return this.random.next() * this.latencyMsMax
  }
  /** A share of the ttl. */
  share(min: number, max: number): number {
    return this.ttlMs * this.random.between(min, max)
  }
  newMachine(): TestMachine {
    const monotonicMs = this.random.between(0, 1e6)
    return this.cluster.machine({ rate: rateOf(this.random), monotonicMs })
  }
  /** Each synced batch takes up to this long from now on. */
  slowDisk(msMax: number): void {
    this.cluster.disk.before = (step) => {
      if (step.kind !== 'commit' || msMax === 0) return
      return new Promise((resolve) => this.cluster.time.after(this.random.next() * msMax, resolve))
    }
  }

  outcome(trap: Trap): Outcome {
    return { trap, ttlMs: this.ttlMs, judged: this.#judged, violation: this.#violation }
  }

  /** From here on a rival wants the name; ends when it has it, and a little later. */
  async judge(lease: Lease): Promise<void> {
    let had = false
    let failedAtMs: number | null = null
    const look = (when: string) => {
      const remainingMs = lease.remainingMs()
      if (remainingMs === 0) failedAtMs ??= this.nowMs
      else if (failedAtMs !== null) this.#fault(`came back to life with ${remainingMs} ms ${when}`)
      else if (had) this.#fault(`says ${remainingMs} ms ${when}`)
    }
    const rival: Recipient = {
      reply: (_id, _attempt, code) => {
        if (code !== OK || had) return
        had = true
        look(`when the rival has it at ${this.nowMs}`)
      },
      flush: () => {},
    }
    const endMs = this.nowMs + 3 * this.ttlMs + 5_000
    for (let id = 1; !had && this.nowMs < endMs; id++) {
      look('before the rival has it')
      const leftMs = lease.remainingMs()
      const nearMs = 0.03 * this.ttlMs
      await this.cluster.advance(leftMs > nearMs ? (leftMs - nearMs) / 2 + 0.5 : Math.max(0.2, this.ttlMs / 400))
      this.cluster.member!.replica.submit(acquireBy('rival', this.ttlMs), rival, id, 1, Number.POSITIVE_INFINITY)
    }
    await this.cluster.advance(this.ttlMs / 2 + 3 * this.latencyMsMax)
    look('long after the rival had it')
    this.#judged = had
  }

  #fault(what: string): void {
    this.#violation ??= what
  }
}

function rateOf(random: SeededRandom): number {
  // The extremes are where the margin is smallest.
  const drawn = random.next()
  if (drawn < 0.3) return 1 - RATE_ERROR
  return drawn < 0.6 ? 1 + RATE_ERROR : random.between(1 - RATE_ERROR, 1 + RATE_ERROR)
}

function acquireBy(holder: string, ttlMs: number) {
  const rest = { waitMs: 0, priority: 0, lockDelayMs: 0, meta: null, request: null }
  return {
    op: OP.acquire,
    principal: holder,
    name: NAME,
    holder,
    ttlMs: Math.min(Math.max(ttlMs, 100), 1_000),
    ...rest,
  }
}

const isReplies = (bytes: Uint8Array | null) => bytes !== null && bytes[1] === FRAME_KIND.replies
const isRequests = (bytes: Uint8Array | null) => bytes !== null && bytes[1] === FRAME_KIND.requests

/** A lease, some renewals later. */
async function held(world: World, lease: Lease): Promise<Lease> {
  const renewals = Math.floor(world.random.next() * 3)
  for (let i = 0; i < renewals; i++) {
    await world.cluster.advance(world.share(0, 0.5))
    await world.cluster.until(lease.renew().catch(() => {}))
  }
  return lease
}

const PLAYS: Readonly<Record<Trap, (world: World) => Promise<Lease>>> = {
  /** The answer to the first attempt is lost with its connection; the retry comes late, and is answered from the record. */
  'lost-reply': async (world) => {
    const { cluster } = world
    await cluster.until(world.client.ready())
    const retryLateMs = world.share(0, 0.7)
    let cut = false
    cluster.network.latencyMs = (direction, bytes) => {
      if (direction === 'down' && isReplies(bytes) && !cut) {
        cut = true
        cluster.time.soon(() => cluster.network.cut('the reply is lost'))
        return 1
      }
      return direction === 'up' && cut && isRequests(bytes) ? retryLateMs : world.latency()
    }
    const lease = await cluster.until(world.client.acquire(NAME, { ttl: world.ttlMs }))
    cluster.network.latencyMs = () => world.latency()
    return held(world, lease)
  },

  /** A renewal arrives while the disk is busy with the batch before it. */
  'late-joiner': async (world) => {
    const { cluster } = world
    const lease = await cluster.until(world.client.acquire(NAME, { ttl: world.ttlMs }))
    await cluster.advance(world.share(0, 0.3))
    const syncMs = world.share(0.05, 0.5)
    cluster.disk.before = (step) =>
      step.kind === 'commit' ? new Promise((resolve) => cluster.time.after(syncMs, resolve)) : undefined
    const other = cluster.client({ name: 'other', machine: world.newMachine() })
    const others = Promise.allSettled([other.tryAcquire('trap/other'), lease.renew()])
    await cluster.advance(syncMs * world.random.next())
    const late = lease.renew().catch(() => {})
    await cluster.until(Promise.all([others, late]))
    world.slowDisk(0)
    return held(world, lease)
  },

  /** The name is offered to a waiter; the offer and its claim take their time. */
  'late-claim': async (world) => {
    const { cluster } = world
    const first = cluster.client({ name: 'first', machine: world.newMachine() })
    const before = await cluster.until(first.acquire(NAME, { ttl: 10_000 }))
    const waiting = world.client.acquire(NAME, { ttl: world.ttlMs, wait: 60_000 })
    await cluster.advance(world.share(0, 0.5) + 4 * world.latencyMsMax)
    const windowMs = Math.min(world.ttlMs, 3_000)
    const offerLateMs = windowMs * world.random.between(0, 0.6)
    const claimLateMs = windowMs * world.random.between(0, 0.6)
    cluster.network.latencyMs = (direction, bytes) => {
      if (direction === 'down' && isReplies(bytes)) return offerLateMs
      return direction === 'up' && isRequests(bytes) ? claimLateMs : world.latency()
    }
    const released = before.release()
    const lease = await cluster.until(waiting)
    await cluster.until(released)
    cluster.network.latencyMs = () => world.latency()
    return lease
  },

  /** The answer to a renewal comes after the local end, and after a check that said so. */
  'late-reply': async (world) => {
    const { cluster } = world
    const lease = await held(world, await cluster.until(world.client.acquire(NAME, { ttl: world.ttlMs })))
    await cluster.advance(Math.max(0, lease.remainingMs() * world.random.between(0.3, 0.98)))
    cluster.network.latencyMs = (direction) => (direction === 'down' ? world.share(0.4, 1.2) : world.latency())
    lease.renew().catch(() => {})
    return lease
  },
}

/** A fault on purpose: in the member, or in what the client makes of an answer. */
export interface Plant {
  readonly tampering?: Tampering
  readonly renewed?: (holder: TestMachine, mark: Mark, fields: GrantedFields) => [Mark, GrantedFields]
}

/** Replaces what grants make of answers, until the returned function is called. */
function plantRenewed(holder: TestMachine, renewed: NonNullable<Plant['renewed']>): () => void {
  const honest = Grant.prototype.renewed
  Grant.prototype.renewed = function (this: Grant, mark, fields) {
    honest.apply(this, renewed(holder, mark, fields))
  }
  return () => {
    Grant.prototype.renewed = honest
  }
}

/** Runs the world of this seed. Whatever is thrown is a defect, too. */
export async function play(seed: number, plant: Plant = {}): Promise<Outcome> {
  const random = new SeededRandom(seed)
  const trap = TRAPS[seed % TRAPS.length]!
  // Every magnitude of ttl is as likely as any other; every phase of the tick, too.
  const ttlMs = Math.round(100 * 100 ** random.next())
  const memberRate = rateOf(random)
  const cluster = await createTestCluster({
    seed,
    tampering: plant.tampering ?? {},
    member: { rate: memberRate, monotonicMs: random.between(0, 1e6) },
  })
  const latencyMsMax = ttlMs * [0, 0.01, 0.15][Math.floor(random.next() * 3)]!
  const world = new World(random, ttlMs, latencyMsMax, cluster)
  await cluster.advance(random.between(0, 2_000))
  world.slowDisk(ttlMs * [0, 0, 0.05][Math.floor(random.next() * 3)]!)
  const restore = plant.renewed === undefined ? () => {} : plantRenewed(world.machine, plant.renewed)
  try {
    const lease = await PLAYS[trap](world)
    await world.judge(lease)
  } catch (error) {
    // The retry came when the grant had ended, or no answer came at all: nobody here ever had it.
    if (!(error instanceof LeaseholdError && ['LEASE_LOST', 'UNREACHABLE'].includes(error.code))) throw error
  } finally {
    restore()
    await cluster.close()
  }
  return world.outcome(trap)
}
