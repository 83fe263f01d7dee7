/** Clients of the library over three real members: whichever goes, and however, what was granted, queued and watched goes on. */
import type { Client, LeaseholdError } from '@leasehold/client'
import t, { type Test } from 'tap'
import { Trio } from '../support/trio.js'

function claim(name: string, check: (t: Test, trio: Trio) => Promise<void>): void {
  t.test(name, async (t) => {
    const trio = await Trio.serving()
    try {
      await check(t, trio)
    } finally {
      await trio.close()
    }
  })
}

claim('any member serves', async (t, trio) => {
  const tokens: number[] = []
  for (const member of trio.members) {
    const client = await trio.clientAt(member, { name: member.name })
    const lease = await trio.until(client.acquire(`at/${member.name}`))
    tokens.push(lease.token)
    await trio.until(lease.renew())
    for (const other of trio.members) {
      const reader = await trio.clientAt(other)
      t.equal((await trio.until(reader.get(lease.name)))?.token, lease.token, 'and every other one knows at once')
      t.ok((await trio.until(reader.list({ prefix: 'at/' }))).leases.some(({ name }) => name === lease.name))
    }
  }
  t.equal(new Set(tokens).size, 3)
})

/** Acquires and releases one name after the other until it is told to stop; keeps what it saw. */
class Worker {
  readonly tokens: number[] = []
  readonly errors: string[] = []
  /** Longest time between two answers. */
  gapMs = 0
  #stopped = false
  readonly done: Promise<void>

  constructor(trio: Trio, client: Client, name: string) {
    this.done = this.#work(trio, client, name)
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.done
  }

  async #work(trio: Trio, client: Client, name: string): Promise<void> {
    let lastMs = trio.time.nowMs
    while (!this.#stopped) {
      try {
        const lease = await client.acquire(name, { ttl: '30s', wait: '30s' })
        this.tokens.push(lease.token)
        this.gapMs = Math.max(this.gapMs, trio.time.nowMs - lastMs)
        lastMs = trio.time.nowMs
        await new Promise<void>((resolve) => void trio.time.after(25, resolve))
        await lease.release()
      } catch (error) {
        this.errors.push(String(error))
      }
    }
  }
}

async function workers(trio: Trio): Promise<Worker[]> {
  const all: Worker[] = []
  for (const member of trio.members)
    for (let i = 0; i < 2; i++) {
      const client = await trio.clientAt(member, { name: `w-${member.name}-${i}` })
      all.push(new Worker(trio, client, `work/${member.name}/${i}`))
    }
  await trio.advance(500)
  return all
}

async function judged(t: Test, trio: Trio, all: readonly Worker[], gapMsMax: number): Promise<void> {
  await trio.until(Promise.all(all.map((worker) => worker.stop())))
  const tokens = all.flatMap((worker) => worker.tokens)
  t.equal(new Set(tokens).size, tokens.length, 'no token twice')
  for (const worker of all) {
    t.same(worker.errors, [], 'no caller saw an error')
    t.ok(worker.gapMs <= gapMsMax, `answered again after ${Math.round(worker.gapMs)} ms`)
    t.same(
      worker.tokens,
      [...worker.tokens].sort((a, b) => a - b),
    )
  }
}

claim(
  'the leader is killed under load: everybody goes on, those at the others without a reconnect',
  async (t, trio) => {
    const all = await workers(trio)
    const { leader, followers } = trio
    const before = followers.map(({ network }) => network.connections)
    await leader.kill()
    await trio.advance(3_000)
    t.equal(
      followers.reduce((sum, { network }) => sum + network.connections, 0),
      before[0]! + before[1]! + 2,
      'its two have gone to the others',
    )
    await judged(t, trio, all, 1_000)
  },
)

claim('the leader stands still for five seconds: everybody goes on without it', async (t, trio) => {
  const all = await workers(trio)
  trio.leader.pause(5_000)
  await trio.advance(7_000)
  await judged(t, trio, all, 2_000)
})

claim(
  'the leader is cut off from the others, not from its clients: they go to where somebody leads',
  async (t, trio) => {
    const all = await workers(trio)
    const { leader } = trio
    leader.isolate()
    await trio.advance(3_000)
    t.equal(leader.network.connections, 0)
    await judged(t, trio, all, 2_000)
  },
)

claim('every member is restarted in turn under load, and nobody notices', async (t, trio) => {
  const all = await workers(trio)
  for (const member of trio.members) {
    await member.stop()
    await trio.advance(300)
    await trio.until(member.start())
    while (!member.replica.ready) await trio.advance(10)
    await trio.advance(1_000)
  }
  await judged(t, trio, all, 1_500)
})

claim(
  'every member is killed in turn under load, and started again: leases held meanwhile are still held',
  async (t, trio) => {
    const holder = trio.client({ name: 'holder' })
    const leases = await trio.until(
      Promise.all(Array.from({ length: 50 }, (_, i) => holder.acquire(`held/${i}`, { ttl: '30s' }))),
    )
    const all = await workers(trio)
    for (const member of trio.members) {
      await member.kill()
      await trio.advance(1_500)
      await trio.until(Promise.all(leases.map((lease) => lease.renew())))
      await trio.until(member.start())
      while (!member.replica.ready) await trio.advance(10)
      await trio.advance(500)
    }
    for (const lease of leases) t.ok(lease.remainingMs() > 20_000)
    t.same(
      (await trio.until(holder.list({ prefix: 'held/' }))).leases.map(({ token }) => token).sort((a, b) => a - b),
      leases.map(({ token }) => token).sort((a, b) => a - b),
      'under the same tokens',
    )
    await judged(t, trio, all, 1_500)
  },
)

claim('waits keep their places while the members that they stand at are killed', async (t, trio) => {
  const owner = await trio.clientAt(trio.followers[0]!, { name: 'owner' })
  const held = await trio.until(owner.acquire('queue', { ttl: '1m' }))
  const order: number[] = []
  const waits: Promise<void>[] = []
  for (let i = 0; i < 9; i++) {
    const client = await trio.clientAt(trio.members[i % 3]!, { name: `waiter-${i}` })
    waits.push(
      client.acquire('queue', { ttl: '1m', wait: '5m' }).then(async (lease) => {
        order.push(i)
        await lease.release()
      }),
    )
    await trio.advance(50)
  }
  for (let round = 0; round < 3; round++) {
    const member = trio.members[(trio.members.indexOf(trio.leader) + round) % 3]!
    await member.kill()
    await trio.advance(6_000)
    t.equal((await trio.until(owner.get('queue')))?.waiters, 9, 'after more than the 5 s for which a lost one is kept')
    await trio.until(member.start())
    while (!member.replica.ready) await trio.advance(10)
  }
  await trio.until(held.release())
  await trio.until(Promise.all(waits))
  t.same(order, [0, 1, 2, 3, 4, 5, 6, 7, 8])
})

claim('a watch sees every change once, in order, while its members are killed', async (t, trio) => {
  const watcher = trio.client({ name: 'watcher' })
  const worker = trio.client({ name: 'worker' })
  const seen: number[] = []
  const stop = new AbortController()
  const watch = watcher.watch({ prefix: 'watched/', signal: stop.signal })
  const watching = (async () => {
    for await (const event of watch) seen.push(event.seq)
  })().catch(() => {})
  await trio.advance(50)
  for (let i = 0; i < 60; i++) {
    const lease = await trio.until(worker.acquire(`watched/${i % 7}`, { wait: '10s' }))
    await trio.until(lease.release())
    if (i % 20 !== 10) continue
    const member = trio.members[Math.floor(i / 20)]!
    await member.kill()
    await trio.advance(800)
    await trio.until(member.start())
  }
  await trio.advance(2_000)
  stop.abort()
  await trio.until(watching)
  const wanted: number[] = []
  const pages = worker.history({ prefix: 'watched/' })
  for (let page = await trio.until(pages.next()); page.done !== true; page = await trio.until(pages.next()))
    wanted.push(...page.value.events.map(({ seq }) => seq))
  t.equal(wanted.length, 120)
  t.same(seen, wanted)
})

claim(
  'two of three are killed: it is said what is known, and what waits is answered once there is a quorum',
  async (t, trio) => {
    const alive = trio.followers[0]!
    const gone = trio.members.filter((member) => member !== alive)
    const client = await trio.clientAt(alive, { timeout: '4s' })
    for (const member of gone) await member.kill()
    await trio.advance(3_000)
    t.equal(alive.replica.ready, false)
    const refused = await trio.until(client.acquire('n').catch((error: LeaseholdError) => error))
    t.match(refused, { code: 'NO_QUORUM', executed: 'no', retryable: true })
    const read = await trio.until(client.get('n').catch((error: LeaseholdError) => error))
    t.match(read, { code: 'NO_QUORUM' })
    const acquired = client.acquire('n', { timeout: '30s' })
    await trio.advance(5_000)
    await trio.until(gone[0]!.start())
    t.ok((await trio.until(acquired)).token > 0)
  },
)
