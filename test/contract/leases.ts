/**
 * The contract of leases, as claims. Whatever serves leases passes it unchanged: the machine alone, a replica in memory,
 * a real server. Names are used once, so that one world may serve all claims; only lower bounds of time are relied on.
 */
import { ERRORS, type ErrorCode, OFFERED, OK, type Reply } from '@leasehold/protocol'
import type { Test } from 'tap'
import { Client, type ContractWorld } from './world.js'

const TTL_MS = 400
const LONG_MS = 60_000

let names = 0
const fresh = (noun: string): string => `contract/${noun}/${++names}`

const tokenOf = (reply: Reply): number => reply.fields[0] as number

function refused(t: Test, reply: Reply, code: ErrorCode, claim: string): void {
  t.equal(reply.code, ERRORS[code].wire, `${claim}: ${code}, not ${JSON.stringify(reply)}`)
}
function lost(t: Test, reply: Reply, token: number, reason: string, claim: string): void {
  refused(t, reply, 'LEASE_LOST', claim)
  t.same(reply.fields, [token, reason], claim)
}
function granted(t: Test, reply: Reply, claim: string): number {
  t.equal(reply.code, OK, `${claim}: granted, not ${JSON.stringify(reply)}`)
  return tokenOf(reply)
}
function offered(t: Test, reply: Reply, claim: string): number {
  t.equal(reply.code, OFFERED, `${claim}: offered, not ${JSON.stringify(reply)}`)
  return tokenOf(reply)
}

type Claim = (t: Test, world: ContractWorld) => Promise<void>

const GRANTS: Record<string, Claim> = {
  'a free name is granted with its whole ttl, and nobody else gets it meanwhile': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('grant')
    const reply = await a.acquire(name, { ttlMs: LONG_MS, meta: 'at 10.0.0.1' })
    const token = granted(t, reply, 'the first')
    t.same(reply.fields, [token, LONG_MS, LONG_MS, false, 'a'])
    const held = await b.acquire(name)
    refused(t, held, 'LEASE_HELD', 'the second')
    const [holder, remainingMs, meta, replayed] = held.fields as [string, number, string, boolean]
    t.same([holder, meta, replayed], ['a', 'at 10.0.0.1', false])
    t.ok(remainingMs > 0 && remainingMs <= LONG_MS)
    refused(t, await b.acquire(name, { holder: 'a' }), 'LEASE_HELD', 'the same holder name from another process')
    refused(t, await a.acquire(name), 'LEASE_HELD', 'a second acquire by the holder itself')
  },

  'a renewal extends the grant to its whole ttl, under the same token': async (t, world) => {
    const a = await Client.of(world, 'a')
    const name = fresh('renew')
    const token = granted(t, await a.acquire(name, { ttlMs: 5_000 }), 'acquire')
    await world.advance(500)
    t.same((await a.renew(name, token)).fields.slice(0, 3), [token, 5_000, 5_000])
  },

  'a lease that is not renewed ends, and a renewal ordered after the end always fails': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('expire')
    const token = granted(t, await a.acquire(name, { ttlMs: TTL_MS }), 'acquire')
    await world.advance(TTL_MS + 50)
    lost(t, await a.renew(name, token), token, 'expired', 'renewing late')
    lost(t, await a.release(name, token), token, 'expired', 'releasing late')
    const next = granted(t, await b.acquire(name), 'the successor')
    t.ok(next > token, 'tokens only grow')
    lost(t, await a.renew(name, token), token, 'expired', 'renewing after the successor')
  },

  'a released name is free at once; repeating the release answers as it did': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('release')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    t.same(await a.release(name, token), { code: OK, fields: [false] })
    t.same(await a.release(name, token), { code: OK, fields: [true] })
    lost(t, await a.renew(name, token), token, 'released', 'renewing after release')
    const next = granted(t, await b.acquire(name, { ttlMs: LONG_MS }), 'the successor')
    t.ok(next > token)
    t.same(await a.release(name, token), { code: OK, fields: [true] }, 'a late repeat does not touch the successor')
    t.equal((await b.renew(name, next)).code, OK)
  },

  'a token that was never issued is unknown, and changes nothing': async (t, world) => {
    const a = await Client.of(world, 'a')
    const name = fresh('unknown')
    lost(t, await a.renew(name, 2 ** 52), 2 ** 52, 'unknown', 'a free name')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    lost(t, await a.release(name, 2 ** 52), 2 ** 52, 'unknown', 'a held name')
    t.equal((await a.renew(name, token)).code, OK)
  },

  'revoking ends the grant, and its holder learns it': async (t, world) => {
    const [a, operator] = [await Client.of(world, 'a'), await Client.of(world, 'operator')]
    const name = fresh('revoke')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const seq = ++operator.seq
    t.same(await operator.revoke(name, seq), { code: OK, fields: [token, false] })
    t.same(await operator.revoke(name, seq), { code: OK, fields: [token, true] }, 'its repeat is answered as it was')
    lost(t, await a.renew(name, token), token, 'revoked', 'the holder')
    refused(t, await operator.revoke(name), 'LEASE_NOT_FOUND', 'a free name')
  },

  'after an unclean end a lock-delay keeps everybody out; a clean end does not': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('delay')
    granted(t, await a.acquire(name, { ttlMs: TTL_MS, lockDelayMs: LONG_MS }), 'acquire')
    await world.advance(TTL_MS + 50)
    const held = await b.acquire(name)
    refused(t, held, 'LEASE_HELD', 'within the delay')
    t.equal(held.fields[0], 'a', 'the last holder is named')
    const clean = fresh('delay')
    const token = granted(t, await a.acquire(clean, { ttlMs: LONG_MS, lockDelayMs: LONG_MS }), 'acquire')
    t.equal((await a.release(clean, token)).code, OK)
    granted(t, await b.acquire(clean), 'after a release')
    const short = fresh('delay')
    granted(t, await a.acquire(short, { ttlMs: TTL_MS, lockDelayMs: 300 }), 'acquire')
    await world.advance(TTL_MS + 350)
    granted(t, await b.acquire(short), 'after the delay')
  },
}

const WAITING: Record<string, Claim> = {
  'a waiter is offered what is released, and its validity counts from the claim': async (t, world) => {
    const [a, b, c] = [await Client.of(world, 'a'), await Client.of(world, 'b'), await Client.of(world, 'c')]
    const name = fresh('wait')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const waiting = await b.queue(name, { ttlMs: 20_000 })
    t.equal((await a.release(name, token)).code, OK)
    const offer = await waiting.last
    const next = offered(t, offer, 'the waiter')
    t.ok(next > token)
    t.same(offer.fields.slice(1), [3_000, 20_000, false], 'three seconds to claim it')
    refused(t, await c.acquire(name), 'LEASE_HELD', 'others, while the offer stands')
    await world.advance(200)
    t.same((await b.renew(name, next)).fields.slice(0, 3), [next, 20_000, 20_000], 'the claim')
  },

  'a free name is granted directly, also to who would wait': async (t, world) => {
    const a = await Client.of(world, 'a')
    granted(t, await a.acquire(fresh('wait'), { waitMs: 1_000 }), 'no offer')
  },

  'an offer that nobody claims goes to the next one': async (t, world) => {
    const [a, b, c] = [await Client.of(world, 'a'), await Client.of(world, 'b'), await Client.of(world, 'c')]
    const name = fresh('lapse')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const first = await b.queue(name, { ttlMs: TTL_MS })
    const second = await c.queue(name, { ttlMs: LONG_MS })
    await a.release(name, token)
    const lapsed = offered(t, await first.last, 'the first waiter')
    await world.advance(TTL_MS + 100)
    const next = offered(t, await second.last, 'the second waiter')
    t.ok(next > lapsed)
    lost(t, await b.renew(name, lapsed), lapsed, 'expired', 'claiming late')
    t.equal((await c.renew(name, next)).code, OK)
  },

  'waiters come by priority, then in order of arrival, one offer per release': async (t, world) => {
    const holder = await Client.of(world, 'a')
    const name = fresh('order')
    let token = granted(t, await holder.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const order: string[] = []
    const waiters: { client: Client; last: Promise<Reply> }[] = []
    for (const [who, priority] of [
      ['low', -1],
      ['first', 0],
      ['second', 0],
      ['high', 5],
    ] as const) {
      const client = await Client.of(world, who)
      const { last } = await client.queue(name, { priority, ttlMs: LONG_MS })
      waiters.push({ client, last: last.finally(() => order.push(who)) })
    }
    t.equal((await world.lease(name))?.[6], 4, 'four wait')
    let current = holder
    for (const who of ['high', 'first', 'second', 'low']) {
      t.equal((await current.release(name, token)).code, OK)
      const next = waiters.find(({ client }) => client.name === who)!
      token = offered(t, await next.last, who)
      t.equal(order.at(-1), who)
      current = next.client
      t.equal((await current.renew(name, token)).code, OK)
    }
    t.equal(order.length, 4)
  },

  'a wait that is over is answered with who holds it': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('timeout')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const waiting = await b.queue(name, { waitMs: 300 })
    await world.advance(400)
    const reply = await waiting.last
    refused(t, reply, 'LEASE_HELD', 'the wait is over')
    t.equal(reply.fields[0], 'a')
    await a.release(name, token)
    granted(t, await b.acquire(name), 'it left the queue: the name is free')
  },

  'who gives up leaves the queue, and gives back an offer that raced it': async (t, world) => {
    const [a, b, c] = [await Client.of(world, 'a'), await Client.of(world, 'b'), await Client.of(world, 'c')]
    const name = fresh('cancel')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    await b.queue(name)
    t.equal((await b.cancelWait(b.seq)).code, OK)
    t.equal((await b.cancelWait(b.seq)).code, OK, 'also when nothing is there')
    const raced = await b.queue(name)
    const third = await c.queue(name, { ttlMs: LONG_MS })
    await a.release(name, token)
    const offer = offered(t, await raced.last, 'the offer that raced')
    t.equal((await b.cancelWait(b.seq)).code, OK)
    const next = offered(t, await third.last, 'the next one')
    refused(t, await b.renew(name, offer), 'LEASE_LOST', 'what was given back')
    t.equal((await c.renew(name, next)).code, OK)
  },

  'a transfer offers the lease to the named waiter, and the giver has lost it': async (t, world) => {
    const [a, b, c] = [await Client.of(world, 'a'), await Client.of(world, 'b'), await Client.of(world, 'c')]
    const name = fresh('transfer')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    refused(t, await a.transfer(name, token, 'c'), 'NO_SUCH_WAITER', 'nobody waits yet')
    t.equal((await a.renew(name, token)).code, OK, 'the lease is kept')
    await b.queue(name, { priority: 10 })
    const taker = await c.queue(name, { ttlMs: LONG_MS })
    t.same(await a.transfer(name, token, 'c'), { code: OK, fields: [false] })
    t.same(await a.transfer(name, token, 'c'), { code: OK, fields: [true] }, 'its repeat is answered as it was')
    const next = offered(t, await taker.last, 'the named one, whatever the order')
    lost(t, await a.renew(name, token), token, 'transferred', 'the giver')
    t.equal((await c.renew(name, next)).code, OK)
  },

  'a waiter whose connection is lost is kept for the same request to come back': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('lost')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const { waiter } = await b.queue(name, { ttlMs: LONG_MS })
    b.lose()
    await world.advance(1_000)
    await b.reconnect()
    const again = await b.queue(name, { ttlMs: LONG_MS, seq: b.seq, attempt: 2 })
    t.equal(again.waiter, waiter, 'it is the same place in the queue')
    await world.advance(5_500)
    await a.release(name, token)
    offered(t, await again.last, 'it takes over the answer, and counts as lost no more')
  },

  'a waiter that does not come back is forgotten': async (t, world) => {
    const [a, b, c] = [await Client.of(world, 'a'), await Client.of(world, 'b'), await Client.of(world, 'c')]
    const name = fresh('lost')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    await b.queue(name)
    b.lose()
    await world.advance(5_600)
    await a.release(name, token)
    granted(t, await c.acquire(name), 'nobody waits any more')
  },
}

const RETRIES: Record<string, Claim> = {
  'a repeated acquire has the first outcome, with what is left at its own time': async (t, world) => {
    const a = await Client.of(world, 'a')
    const name = fresh('retry')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    await world.advance(300)
    const again = await a.acquire(name, { ttlMs: LONG_MS, seq: a.seq, attempt: 2 })
    t.equal(granted(t, again, 'the repeat'), token)
    const [, ttlMs, remainingMs, replayed] = again.fields as [number, number, number, boolean]
    t.same([ttlMs, replayed], [LONG_MS, true])
    t.ok(remainingMs <= LONG_MS - 300, `${remainingMs} is what is left now`)
  },

  'the same request token with other parameters is refused, and the record untouched': async (t, world) => {
    const a = await Client.of(world, 'a')
    const name = fresh('mismatch')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    const other = await a.acquire(fresh('mismatch'), { ttlMs: LONG_MS, seq: a.seq, attempt: 2 })
    refused(t, other, 'IDEMPOTENCY_MISMATCH', 'another name')
    t.equal(granted(t, await a.acquire(name, { ttlMs: LONG_MS, seq: a.seq, attempt: 3 }), 'the repeat'), token)
  },

  'a late retry of an acquire whose grant has ended never gets a second grant': async (t, world) => {
    const a = await Client.of(world, 'a')
    const name = fresh('late')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    await a.release(name, token)
    lost(t, await a.acquire(name, { ttlMs: LONG_MS, seq: a.seq, attempt: 2 }), token, 'released', 'the retry')
    t.equal(await world.lease(name), null)
  },

  'a request below the mark of its session is stale, and not executed': async (t, world) => {
    const a = await Client.of(world, 'a')
    granted(t, await a.acquire(fresh('stale'), { seq: 7, lowest: 7 }), 'the newest')
    const name = fresh('stale')
    refused(t, await a.acquire(name, { seq: 3 }), 'STALE', 'below the mark')
    t.equal(await world.lease(name), null)
  },

  'a refusal is an outcome too: its repeat is the same refusal, though the name is free by then': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('held')
    const token = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    refused(t, await b.acquire(name), 'LEASE_HELD', 'the first attempt')
    await a.release(name, token)
    const again = await b.acquire(name, { seq: b.seq, attempt: 2 })
    refused(t, again, 'LEASE_HELD', 'the repeat')
    t.equal(again.fields[3], true, 'replayed')
  },
}

const READS: Record<string, Claim> = {
  'readers see what is held, offered and by whom, in the order of names': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const prefix = `${fresh('read')}/`
    const token = granted(t, await a.acquire(`${prefix}x`, { ttlMs: LONG_MS, meta: 'm' }), 'acquire')
    granted(t, await b.acquire(`${prefix}a`, { ttlMs: LONG_MS }), 'acquire')
    const view = (await world.lease(`${prefix}x`))!
    t.same(
      [view[0], view[1], view[2], view[3], view[5], view[6], view[7]],
      [`${prefix}x`, 'a', token, LONG_MS, 'held', 0, 'm'],
    )
    t.ok(view[4] > 0 && view[4] <= LONG_MS)
    const names = (await world.list(prefix)).map((lease) => lease[0])
    t.same(names, [`${prefix}a`, `${prefix}x`])
    t.equal(await world.lease(`${prefix}y`), null)
    await b.queue(`${prefix}x`)
    await a.release(`${prefix}x`, token)
    t.equal((await world.lease(`${prefix}x`))?.[5], 'offered')
  },

  'the history tells every change of a name, in order, with the reason': async (t, world) => {
    const [a, b] = [await Client.of(world, 'a'), await Client.of(world, 'b')]
    const name = fresh('history')
    const one = granted(t, await a.acquire(name, { ttlMs: LONG_MS }), 'acquire')
    await a.renew(name, one)
    await a.renew(name, one)
    const waiting = await b.queue(name, { ttlMs: LONG_MS })
    await a.release(name, one)
    const two = offered(t, await waiting.last, 'the waiter')
    await b.renew(name, two)
    await a.revoke(name)
    const three = granted(t, await a.acquire(name, { ttlMs: TTL_MS }), 'acquire')
    await world.advance(TTL_MS + 400)
    const events = await world.history(name)
    t.same(
      events.map(({ type, holder, token, reason }) => [type, holder, token, reason]),
      [
        ['granted', 'a', one, null],
        ['released', 'a', one, 'released'],
        ['offered', 'b', two, null],
        ['granted', 'b', two, null],
        ['revoked', 'b', two, 'revoked'],
        ['granted', 'a', three, null],
        ['expired', 'a', three, 'expired'],
      ],
    )
    t.same(
      events.map(({ vacant }) => vacant),
      [false, false, false, false, true, false, true],
      'vacancy is told',
    )
    t.equal(events[1]!.renewals, 2, 'renewals are told in summary')
    for (let i = 1; i < events.length; i++) t.ok(events[i]!.seq > events[i - 1]!.seq)
  },
}

export const LEASE_CLAIMS: Readonly<Record<string, Claim>> = { ...GRANTS, ...WAITING, ...RETRIES, ...READS }

/**
 * Runs every claim. `open` makes a world that has served for a while already (no hold of the horizon is on). Where time
 * is real, `jobs` claims wait for it side by side.
 */
export async function leaseContract(t: Test, open: () => Promise<ContractWorld>, jobs = 1): Promise<void> {
  const world = await open()
  t.jobs = jobs
  t.teardown(() => world.close())
  for (const [claim, check] of Object.entries(LEASE_CLAIMS)) {
    t.test(claim, { buffered: jobs > 1 }, (t) => check(t as Test, world))
  }
}
