import { SeededRandom } from '@leasehold/client/testing'
import { CHANNEL, type PeerName } from '@leasehold/server/ports'
import fc from 'fast-check'
import t from 'tap'
import { VirtualClock } from '../support/virtualclock.js'
import { memberIn, type NetworkSettings, VirtualNetwork, type VirtualTransport } from '../support/virtualnetwork.js'
import { complies, introduce, type Member, numbered, numberOf, type PeersWorld, Recorder } from './compliance.js'

class VirtualWorld implements PeersWorld {
  readonly clock = new VirtualClock()
  readonly network: VirtualNetwork

  constructor(seed: number, settings: Partial<NetworkSettings> = {}) {
    const random = new SeededRandom(seed)
    this.network = new VirtualNetwork({ clock: this.clock, random: () => random.next(), settings })
  }
  get frameBytesMax(): number {
    return this.network.settings.frameBytesMax
  }
  get silenceMsMax(): number {
    return this.network.settings.silenceMsMax
  }
  async member(peer: PeerName): Promise<Member & { transport: VirtualTransport }> {
    const transport = this.network.transport(peer)
    const seen = new Recorder()
    await transport.start(seen)
    return { peer, address: `${memberIn(peer)}:7421`, transport, seen }
  }
  async until(holds: () => boolean): Promise<void> {
    for (let ms = 0; !holds(); ms++) {
      if (ms === 60_000) throw new Error('it never comes to hold')
      this.clock.advance(1)
    }
  }
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
  }
  hold(a: PeerName, b: PeerName): void {
    this.network.part(a, b)
  }
  release(a: PeerName, b: PeerName): void {
    this.network.unblock(a, b)
    this.network.unblock(b, a)
  }
  sever(a: PeerName, b: PeerName): void {
    this.network.sever(a, b)
  }
  async close(): Promise<void> {
    for (const member of ['n1', 'n2', 'n3']) this.network.crash(member)
    this.clock.advance(1_000)
    if (this.clock.timers > 0) throw new Error(`${this.clock.timers} timers are left behind`)
  }
}

let seed = 1
complies('virtual', async () => new VirtualWorld(seed++))

const NAMES = ['n1@d1', 'n2@d2', 'n3@d3']

async function three(seed: number, settings: Partial<NetworkSettings> = {}): Promise<[VirtualWorld, Member[]]> {
  const world = new VirtualWorld(seed, settings)
  const members: Member[] = []
  for (const name of NAMES) members.push(await world.member(name))
  introduce(...members)
  return [world, members]
}

const linked = (members: readonly Member[]) =>
  members.map((one) => members.map((other) => (one.transport.linked(other.peer) ? 1 : 0)).join('')).join(' ')

t.test('a way that is blocked in one direction alone takes the link down on both sides', async (t) => {
  const [world, members] = await three(7)
  await world.until(() => linked(members) === '011 101 110')
  world.network.block('n1', 'n2')
  world.clock.advance(world.silenceMsMax * 2)
  t.equal(linked(members), '001 001 110', 'the third one is a bridge')
  world.network.heal()
  await world.until(() => linked(members) === '011 101 110')
})

t.test('a short block holds messages up, and loses none', async (t) => {
  const [world, members] = await three(8)
  const [a, b] = members as [Member, Member, Member]
  await world.until(() => linked(members) === '011 101 110')
  world.network.part('n1', 'n2')
  for (let n = 0; n < 20; n++) a.transport.send(b.peer, CHANNEL.raft, numbered(n, 10))
  world.clock.advance(world.silenceMsMax * 0.9)
  t.same(b.seen.numbers(CHANNEL.raft), [])
  world.network.heal()
  world.clock.advance(200)
  t.equal(b.seen.numbers(CHANNEL.raft).length, 20)
  t.equal(b.seen.count('down'), 0)
})

t.test('a frozen member hears everything when it thaws: what had come, then the end of the link', async (t) => {
  const [world, members] = await three(9)
  const [a, b] = members as [Member, Member, Member]
  await world.until(() => linked(members) === '011 101 110')
  a.transport.send(b.peer, CHANNEL.raft, numbered(1, 10))
  world.network.freeze('n2')
  world.clock.advance(world.silenceMsMax * 2)
  t.equal(a.seen.count('down'), 1, 'it was given up')
  t.same(
    b.seen.events.filter(({ kind }) => kind !== 'up'),
    [],
  )
  world.network.thaw('n2')
  await world.until(() => linked(members) === '011 101 110')
  const kinds = b.seen.events.flatMap((e) => (e.peer === a.peer ? [e.kind] : []))
  t.match(kinds.join(), /^up,(message,)?down,up$/)
})

t.test('of a killed process the others learn at once, of a machine that is gone by silence', async (t) => {
  const [world, members] = await three(10)
  await world.until(() => linked(members) === '011 101 110')
  world.network.crash('n1')
  world.clock.advance(30)
  t.equal(linked(members.slice(1)), '01 10')
  t.equal(members[1]!.seen.count('down'), 1)
  world.network.crash('n2', { silent: true })
  world.clock.advance(world.silenceMsMax * 0.9)
  t.equal(members[2]!.seen.count('down', 'n2@d2'), 0)
  world.clock.advance(world.silenceMsMax)
  t.equal(members[2]!.seen.count('down', 'n2@d2'), 1)
  t.same(members[0]!.seen.count('down'), 0)
  await world.close()
})

t.test('a process dies as its link begins: the other end hears of both or of neither', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const silent = seed % 2 === 0
    const world = new VirtualWorld(seed)
    const a = await world.member('n1@d1')
    const b = world.network.transport('n2@d2')
    const seen = new Recorder()
    await b.start({
      linkUp(peer) {
        seen.linkUp(peer)
        b.send(peer, CHANNEL.raft, numbered(1, 10))
        world.network.crash('n2', { silent })
      },
      linkDown: (peer) => seen.linkDown(peer),
      message: () => {},
      room: () => {},
    })
    b.peers([a])
    a.transport.peers([{ peer: 'n2@d2', address: 'n2:7421' }])
    await world.until(() => seen.count('up') === 1)
    world.clock.advance(2 * world.silenceMsMax)
    t.match(a.seen.events.map(({ kind }) => kind).join(), /^(up,(message,)?down)?$/, `seed ${seed}`)
    const again = await world.member('n2@d2')
    introduce(a, again)
    await world.until(() => a.transport.linked('n2@d2') && again.transport.linked('n1@d1'))
    await world.close()
  }
})

t.test('of a process that is gone the end comes, whatever becomes of the way; its successor gets a link', async (t) => {
  const oneEnd = ([a, b]: readonly Member[]) => a!.transport.linked(b!.peer) !== b!.transport.linked(a!.peer)
  const bothEnds = (members: readonly Member[]) => linked(members) === '011 101 110'
  for (const begun of [oneEnd, bothEnds]) {
    for (const silent of [false, true]) {
      const [world, members] = await three(12, { delayMs: { usual: 5, most: 5 } })
      await world.until(() => begun(members))
      const [gone, other] = members[0]!.transport.linked(members[1]!.peer) ? members : [members[1]!, members[0]!]
      world.network.crash(gone!.peer, { silent })
      for (let n = 0; n < 4; n++) {
        world.network.block(gone!.peer, other!.peer)
        world.clock.advance(world.silenceMsMax / 8)
        world.network.unblock(gone!.peer, other!.peer)
      }
      world.clock.advance(2 * world.silenceMsMax)
      t.equal(other!.seen.count('up', gone!.peer), other!.seen.count('down', gone!.peer), `silent: ${silent}`)
      const again = await world.member(gone!.peer)
      introduce(again, ...members.filter((member) => member !== gone))
      await world.until(() => again.transport.linked(other!.peer) && other!.transport.linked(again.peer))
    }
  }
})

/** What one run of a troubled network showed to its members. */
async function troubled(seed: number, steps: readonly number[]): Promise<readonly Recorder[]> {
  const bounds = { messagesMax: 8, bytesMax: 400_000 }
  const [world, members] = await three(seed, { breakChance: 0.01, bounds: { 1: bounds, 2: bounds, 3: bounds } })
  const { network, clock } = world
  const seens = members.map(({ seen }) => seen)
  let sent = 0
  for (const step of steps) {
    const [a, b] = [NAMES[step % 3]!, NAMES[(step + 1 + (step >> 4)) % 3]!]
    const from = members.find(({ peer }) => peer === a)!
    const kind = (step >> 2) % 16
    if (kind === 0) network.block(a, b)
    else if (kind === 1) network.heal()
    else if (kind === 2) network.freeze(a)
    else if (kind === 3 || kind === 4) for (const name of NAMES) network.thaw(name)
    else if (kind === 5) network.sever(a, b)
    else if (kind === 6) {
      network.crash(a, { silent: step % 2 === 0 })
      const again = await world.member(a)
      members[members.indexOf(from)] = again
      seens.push(again.seen)
      introduce(...members)
    } else if (!network.world.frozen(a)) {
      for (let i = 0; i < 5; i++) from.transport.send(b, CHANNEL.forward, numbered(++sent, 20 + (step % 5) * 10_000))
    }
    const frozen = members.filter(({ peer }) => network.world.frozen(peer)).map(({ seen }) => seen)
    const heard = frozen.map(({ events }) => events.length)
    clock.advance(step % 97)
    if (frozen.some(({ events }, i) => events.length !== heard[i]))
      throw new Error('a frozen member was told something')
  }
  for (const name of NAMES) network.thaw(name)
  network.heal()
  network.settings.breakChance = 0
  // What is broken already comes to its end first.
  clock.advance(2 * world.silenceMsMax)
  await world.until(() => linked(members) === '011 101 110')
  for (const one of members) {
    for (const to of NAMES.filter((name) => name !== one.peer)) {
      await world.until(() => one.transport.send(to, CHANNEL.raft, numbered(1, 4)))
    }
  }
  await world.until(() => members.every(({ seen }) => seen.numbers(CHANNEL.raft).length >= 2))
  await world.close()
  return seens
}

/** Ups and downs take turns; messages come between them, in the order in which they were sent, once. */
function sound(seen: Recorder): boolean {
  return NAMES.every((peer) => {
    let up = false
    let last = 0
    return seen.events.every((event) => {
      if (event.peer !== peer) return true
      if (event.kind === 'up' || event.kind === 'down') {
        const turns = up !== (event.kind === 'up')
        up = event.kind === 'up'
        return turns
      }
      if (event.kind === 'room' || event.channel !== CHANNEL.forward) return up
      const n = numberOf(event.bytes)
      const fresh = up && n > last
      last = n
      return fresh
    })
  })
}

const runs = fc.tuple(fc.nat(), fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 80 }))

t.test('whatever happens: order, once, ups and downs in turn, and links that come back', async (t) => {
  let downs = 0
  let rooms = 0
  await fc.assert(
    fc.asyncProperty(runs, async ([seed, steps]) => {
      const seens = await troubled(seed, steps)
      downs += seens.reduce((sum, seen) => sum + seen.count('down'), 0)
      rooms += seens.reduce((sum, seen) => sum + seen.count('room'), 0)
      return seens.every(sound)
    }),
    { numRuns: 150 },
  )
  t.ok(downs > 150 && rooms > 10, `${downs} links went down, ${rooms} times there was room again`)
})

t.test('the same seed gives the same run', async (t) => {
  const steps = fc.sample(runs, { numRuns: 3, seed: 5 })
  for (const [seed, all] of steps) {
    const [once, twice] = [await troubled(seed, all), await troubled(seed, all)]
    t.same(
      once.map(({ events }) => events),
      twice.map(({ events }) => events),
    )
  }
})
