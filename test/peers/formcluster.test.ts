import { answerAsFormed, Door, type Facts, formCluster, TcpTransport } from '@leasehold/server/peers'
import t, { type Test } from 'tap'
import { Remembered, realClock, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { Recorder } from './compliance.js'

const utf8 = (text: string) => new TextEncoder().encode(text)

/** One member: a directory that outlives its runs, and a door at an address that does, too. */
class Founder {
  readonly id: string
  readonly telemetry = new Remembered()
  directoryId: string
  written: Facts | null = null
  /** What a running process does before its directory is durable. */
  beforeWrite: () => Promise<void> = async () => {}
  door: Door
  port = 0
  #stop = new AbortController()

  constructor(id: string) {
    this.id = id
    this.directoryId = `d${id}`
    this.door = this.#newDoor()
  }
  get peer(): string {
    return `${this.id}@${this.directoryId}`
  }
  /** Finds its port; what knocks meanwhile is told to wait. */
  async reserve(): Promise<void> {
    await this.door.open()
    this.port = this.door.port
  }
  form(all: readonly Founder[]): Promise<Facts> {
    return formCluster({
      door: this.door,
      self: this.peer,
      members: new Map(all.map(({ id, port }) => [id, `127.0.0.1:${port}`])),
      found: (peers) => ({ clusterId: `cluster of ${this.peer}`, founding: utf8(peers.join()) }),
      write: async (facts) => {
        await this.beforeWrite()
        this.written = facts
      },
      signal: this.#stop.signal,
    })
  }
  async crash(): Promise<void> {
    this.#stop.abort()
    await this.door.close()
    this.#stop = new AbortController()
    this.door = this.#newDoor()
  }
  #newDoor(): Door {
    return new Door({ listen: { host: '127.0.0.1', port: this.port }, clock: realClock, telemetry: this.telemetry })
  }
}

async function founders(t: Test, count: number): Promise<Founder[]> {
  const all = Array.from({ length: count }, (_, i) => new Founder(`n${i + 1}`))
  for (const one of all) await one.reserve()
  t.teardown(() => Promise.all(all.map(({ door }) => door.close())))
  return all
}

t.test('three empty directories form one cluster with the same bytes, whoever starts when', async (t) => {
  const all = await founders(t, 3)
  const early = [all[2]!, all[0]!].map((one) => one.form(all))
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.same(
    all.map(({ written }) => written),
    [null, null, null],
    'two of three found nothing',
  )
  const formed = await Promise.all([...early, all[1]!.form(all)])
  const peers = ['n1@dn1', 'n2@dn2', 'n3@dn3']
  const expected = { clusterId: 'cluster of n1@dn1', founding: utf8(peers.join()), names: peers }
  for (const facts of [...formed, ...all.map(({ written }) => written!)]) {
    t.same({ ...facts, founding: Uint8Array.from(facts.founding!) }, expected)
  }
  t.same(
    all.flatMap(({ telemetry }) => telemetry.logs.filter(({ level }) => level === 'warn')),
    [],
  )
})

t.test(
  'who crashes before its directory is durable forms it after a restart; the founder may be gone meanwhile',
  async (t) => {
    const all = await founders(t, 3)
    const [one, two, three] = all as [Founder, Founder, Founder]
    let reached = false
    three.beforeWrite = () => {
      reached = true
      return new Promise(() => {})
    }
    three.form(all).catch(() => {})
    await Promise.all([one.form(all), two.form(all)])
    await until(() => reached)
    await three.crash()
    await one.crash()
    three.beforeWrite = async () => {}
    t.equal((await three.form(all)).clusterId, 'cluster of n1@dn1')
    t.same(three.written, two.written)
  },
)

t.test('a wiped member is a stranger: it says so, waits, and joins once it is named', async (t) => {
  const all = await founders(t, 3)
  const [one, two, three] = all as [Founder, Founder, Founder]
  await Promise.all(all.map((each) => each.form(all)))
  await one.crash()
  one.directoryId = 'wiped'
  one.written = null
  const facts = two.written!
  const joining = one.form(all)
  await until(() => one.telemetry.logs.some(({ event }) => event === 'waiting to form'))
  const { fields } = one.telemetry.logs.find(({ event }) => event === 'waiting to form')!
  t.match(fields, {
    reason: /belongs to the cluster cluster of n1@dn1, which does not name n1@wiped.*leasehold cluster add/,
  })
  t.equal(one.written, null)
  for (const each of [two, three]) {
    each.door.answerAsk = answerAsFormed(each.peer, () => ({
      ...facts,
      names: [...facts.names, 'n1@wiped'],
      founding: null,
    }))
  }
  t.equal((await joining).clusterId, 'cluster of n1@dn1')
  t.equal(one.written!.founding, null)
})

t.test('waiting ends with the signal, and with a directory that cannot be written', async (t) => {
  const [one] = (await founders(t, 1)) as [Founder]
  const absent = new Founder('n2')
  absent.port = 1
  const waiting = one.form([one, absent])
  waiting.catch(() => {})
  await one.crash()
  await t.rejects(waiting, { name: 'AbortError' })
  one.beforeWrite = () => Promise.reject(new Error('disk full'))
  await t.rejects(one.form([one]), /disk full/)
})

t.test('a door that has formed its cluster serves links at once, on the same port', async (t) => {
  const all = await founders(t, 2)
  const formed = await Promise.all(all.map((one) => one.form(all)))
  const transports = all.map((one, i) => {
    const { clusterId } = formed[i]!
    return new TcpTransport({ self: one.peer, clusterId, door: one.door, random: realRandom })
  })
  t.teardown(() => Promise.all(transports.map((transport) => transport.close())))
  for (const transport of transports) {
    await transport.start(new Recorder())
    transport.peers(all.map(({ peer, port }) => ({ peer, address: `127.0.0.1:${port}` })))
  }
  await until(() => transports[0]!.linked('n2@dn2') && transports[1]!.linked('n1@dn1'))
  t.same(
    transports[0]!.views.map(({ peer, version }) => [peer, version]),
    [['n2@dn2', 2]],
  )
})
