/** Three real servers, each a process of its own with LevelDB, and clients of the library: kill -9 under load, and a goodbye. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '@leasehold/client'
import t from 'tap'
import { TestCluster } from '../cli/cluster.js'

const NAMES = ['n1', 'n2', 'n3'] as const

class Load {
  readonly tokens: number[] = []
  readonly errors: string[] = []
  #stopped = false
  readonly #done: Promise<void>

  constructor(client: Client, name: string) {
    this.#done = this.#work(client, name)
  }

  async #work(client: Client, name: string): Promise<void> {
    while (!this.#stopped) {
      try {
        const lease = await client.acquire(name, { ttl: '30s', wait: '30s', timeout: '30s' })
        this.tokens.push(lease.token)
        await sleep(20)
        await lease.release({ timeout: '30s' })
      } catch (error) {
        this.errors.push(String(error))
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }
}

// Starts and elections of real processes take their time on a machine that does much else.
t.setTimeout(180_000)

/** Six clients wait for what `owner` holds, one after the other; each gives it back at once, and the order is kept. */
async function standInLine(owner: Client, client: (name: string) => Client) {
  const order: number[] = []
  const waits: Promise<void>[] = []
  for (let i = 0; i < 6; i++) {
    const wait = client(`waiter-${i}`).acquire('queue', { ttl: '1m', wait: '10m' })
    waits.push(
      wait.then(async (lease) => {
        order.push(i)
        await lease.release()
      }),
    )
    while ((await owner.get('queue'))?.waiters !== i + 1) await sleep(5)
  }
  return { order, waits }
}

/** What a watch is told, up to the last one. Resolves once it has begun. */
async function follow(client: Client) {
  const seen: number[] = []
  const watch = client.watch({ prefix: 'load/' })
  const watching = (async () => {
    for await (const { seq, name } of watch) {
      if (name === 'load/last') return
      seen.push(seq)
    }
  })()
  while (watch.cursor === null) await sleep(5)
  return { seen, watching }
}

/** What the history has of the same. */
async function told(client: Client): Promise<number[]> {
  const all: number[] = []
  for await (const page of client.history({ prefix: 'load/' }))
    for (const { seq, name } of page.events) if (name !== 'load/last') all.push(seq)
  return all
}

t.test(
  'leases, waits and watches outlive kill -9 of the leader under load, and a shutdown of the next one',
  async (t) => {
    const cluster = new TestCluster(t)
    await cluster.plan(...NAMES)
    for (const name of NAMES) cluster.start(name)
    const first = await cluster.settled(...NAMES)
    const endpoints = NAMES.map((name) => cluster.url(name))
    const clients: Client[] = []
    // No one's requests end for want of time on a machine that does many other things.
    const client = (name: string) => {
      const made = createClient({ endpoints, name, timeout: '60s' })
      clients.push(made)
      return made
    }
    t.teardown(() => Promise.all(clients.map((one) => one.close())))

    const owner = client('owner')
    const held = await Promise.all(Array.from({ length: 20 }, (_, i) => owner.acquire(`held/${i}`, { ttl: '5m' })))
    const queue = await owner.acquire('queue', { ttl: '5m' })
    const { order, waits } = await standInLine(owner, client)
    const { seen, watching } = await follow(client('watcher'))
    const loads = Array.from({ length: 6 }, (_, i) => new Load(client(`load-${i}`), `load/${i}`))
    await sleep(500)
    await cluster.kill(first, 'SIGKILL')
    const others = NAMES.filter((name) => name !== first)
    for (const name of others) await cluster.until(name, ({ leader }) => leader !== null && leader !== first)
    await sleep(500)
    cluster.start(first)
    const second = await cluster.settled(...NAMES)
    await cluster.kill(second, 'SIGTERM')
    const rest = NAMES.filter((name) => name !== second)
    for (const name of rest) await cluster.until(name, ({ leader }) => leader !== null && leader !== second)
    await sleep(500)
    await Promise.all(loads.map((load) => load.stop()))

    for (const { errors } of loads) t.same(errors, [], 'no caller saw an error')
    const tokens = loads.flatMap((load) => load.tokens)
    t.equal(new Set(tokens).size, tokens.length, 'no token twice')
    for (const { tokens: own } of loads) t.ok(own.length > 5)
    await Promise.all(held.map((lease) => lease.renew()))
    const listed = await owner.list({ prefix: 'held/' })
    t.same(listed.leases.map(({ token }) => token).sort(), held.map(({ token }) => token).sort(), 'held all along')
    t.equal((await owner.get('queue'))?.waiters, 6)
    await queue.release()
    await Promise.all(waits)
    t.same(order, [0, 1, 2, 3, 4, 5], 'places were kept')

    await (await owner.acquire('load/last')).release()
    await watching
    t.same(seen, await told(owner), 'a watch missed nothing, and saw nothing twice')
  },
)
