/**
 * What every transport owes those who use it, whatever carries it: run against TCP between real sockets, and against the simulated
 * network. A world brings members with their transports and may disturb what lies between them.
 */
import { CHANNEL, type Channel, type PeerName, type Transport, type TransportListener } from '@leasehold/server/ports'
import t, { type Test } from 'tap'

export type PeerEvent =
  | { readonly kind: 'message'; readonly peer: PeerName; readonly channel: Channel; readonly bytes: Uint8Array }
  | { readonly kind: 'up'; readonly peer: PeerName }
  | { readonly kind: 'down'; readonly peer: PeerName }
  | { readonly kind: 'room'; readonly peer: PeerName; readonly channel: Channel }

export class Recorder implements TransportListener {
  readonly events: PeerEvent[] = []
  message(peer: PeerName, channel: Channel, bytes: Uint8Array): void {
    this.events.push({ kind: 'message', peer, channel, bytes })
  }
  linkUp(peer: PeerName): void {
    this.events.push({ kind: 'up', peer })
  }
  linkDown(peer: PeerName): void {
    this.events.push({ kind: 'down', peer })
  }
  room(peer: PeerName, channel: Channel): void {
    this.events.push({ kind: 'room', peer, channel })
  }
  count(kind: PeerEvent['kind'], peer?: PeerName): number {
    return this.events.filter((event) => event.kind === kind && (peer === undefined || event.peer === peer)).length
  }
  /** Numbers that came on a channel, in order. */
  numbers(channel: Channel): number[] {
    return this.events.flatMap((event) =>
      event.kind === 'message' && event.channel === channel ? [numberOf(event.bytes)] : [],
    )
  }
}

export interface Member {
  readonly peer: PeerName
  readonly address: string
  readonly transport: Transport
  readonly seen: Recorder
}

export interface PeersWorld {
  /** A started transport; again under the same name: a restarted process (the former one was closed). */
  member(peer: PeerName): Promise<Member>
  until(holds: () => boolean): Promise<void>
  /** Lets about so much time pass. */
  pass(ms: number): Promise<void>
  /** What these say to each other is held up, for `ms` at least without being taken for dead, and lost if that lasts. */
  hold(a: PeerName, b: PeerName): void
  release(a: PeerName, b: PeerName): void
  /** The connection between them ends; what is on its way may be lost. */
  sever(a: PeerName, b: PeerName): void
  readonly frameBytesMax: number
  /** From silence to the end of a link. */
  readonly silenceMsMax: number
  close(): Promise<void>
}

/** A message that carries a number and is `bytes` long, filled with what follows from both. */
export function numbered(n: number, bytes: number): Uint8Array {
  const message = new Uint8Array(Math.max(bytes, 4)).fill(n % 251)
  new DataView(message.buffer).setUint32(0, n)
  return message
}

/** Throws for a message that was torn or mixed with another. */
export function numberOf(message: Uint8Array): number {
  const n = new DataView(message.buffer, message.byteOffset, message.length).getUint32(0)
  if (message.subarray(4).some((byte) => byte !== n % 251)) throw new Error(`message ${n} is not what was sent`)
  return n
}

const A = 'n1@d1'
const B = 'n2@d2'
const CHANNELS = Object.values(CHANNEL)
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

/** Two members that name each other and are linked. */
async function pair(world: PeersWorld): Promise<[Member, Member]> {
  const a = await world.member(A)
  const b = await world.member(B)
  introduce(a, b)
  await world.until(() => a.transport.linked(B) && b.transport.linked(A))
  return [a, b]
}

export function introduce(...members: Member[]): void {
  for (const one of members) one.transport.peers(members.filter((other) => other !== one))
}

/** Sends until the channel is full; returns how many it took. */
function fill(from: Member, to: PeerName, channel: Channel, bytes: number): number {
  for (let n = 0; n < 100_000; n++) if (!from.transport.send(to, channel, numbered(n, bytes))) return n
  throw new Error('a channel without a bound')
}

type Case = (t: Test, world: PeersWorld) => Promise<void>

const delivery: Readonly<Record<string, Case>> = {
  'members that name each other are linked, and told so once': async (t, world) => {
    const [a, b] = await pair(world)
    await world.pass(3 * world.silenceMsMax)
    t.same(a.seen.events, [{ kind: 'up', peer: B }])
    t.same(b.seen.events, [{ kind: 'up', peer: A }])
  },
  'messages arrive whole, in order and once, in both directions and on all channels': async (t, world) => {
    const [a, b] = await pair(world)
    const sizes = [4, 5, 100, 2_047, 2_048, 2_049, 60_000]
    for (const n of upTo(140)) {
      for (const channel of CHANNELS) {
        const sent = [
          a.transport.send(B, channel, numbered(n, sizes[n % 7]!)),
          b.transport.send(A, channel, numbered(n, 9)),
        ]
        if (n < 30) t.same(sent, [true, true])
      }
      if (n % 10 === 9) await world.until(() => a.seen.numbers(CHANNEL.bulk).length === n + 1)
      if (n % 10 === 9) await world.until(() => b.seen.numbers(CHANNEL.bulk).length === n + 1)
    }
    for (const seen of [a.seen, b.seen]) {
      for (const channel of CHANNELS) t.same(seen.numbers(channel), upTo(140))
      t.equal(seen.count('down'), 0)
    }
  },
  'flushing changes neither what arrives nor its order, and tells nothing': async (t, world) => {
    const [a, b] = await pair(world)
    a.transport.flush()
    for (const n of upTo(60)) {
      a.transport.send(B, CHANNEL.raft, numbered(n, n % 7 === 0 ? 3_000 : 9))
      if (n % 3 !== 1) a.transport.flush()
    }
    t.equal(a.seen.count('message') + a.seen.count('room'), 0, 'nobody is told anything within')
    await world.until(() => b.seen.numbers(CHANNEL.raft).length === 60)
    t.same(b.seen.numbers(CHANNEL.raft), upTo(60))
    await a.transport.close()
    a.transport.flush()
  },
  'an empty message and the longest one arrive; a longer one is refused as a mistake': async (t, world) => {
    const [a, b] = await pair(world)
    t.ok(a.transport.send(B, CHANNEL.raft, new Uint8Array(0)))
    t.ok(a.transport.send(B, CHANNEL.bulk, numbered(7, world.frameBytesMax)))
    t.throws(() => a.transport.send(B, CHANNEL.bulk, numbered(8, world.frameBytesMax + 1)), RangeError)
    await world.until(() => b.seen.count('message') === 2)
    const lengths = b.seen.events.flatMap((event) => (event.kind === 'message' ? [event.bytes.length] : []))
    t.same(lengths, [0, world.frameBytesMax])
  },
  'what cannot be sent is refused: no link, no such peer, ourselves': async (t, world) => {
    const a = await world.member(A)
    a.transport.peers([{ peer: B, address: '127.0.0.1:1' }])
    for (const to of [B, 'n9@d9', A]) {
      t.notOk(a.transport.linked(to))
      t.notOk(a.transport.send(to, CHANNEL.raft, numbered(1, 4)))
    }
    t.same(a.seen.events, [])
  },
  'a full channel refuses, the others do not; there is word of room, and all that was taken arrives': async (
    t,
    world,
  ) => {
    const [a, b] = await pair(world)
    world.hold(A, B)
    const taken = fill(a, B, CHANNEL.bulk, 262_144)
    t.ok(taken > 1)
    t.ok(a.transport.send(B, CHANNEL.raft, numbered(0, 100)))
    t.notOk(a.transport.send(B, CHANNEL.bulk, numbered(taken, 262_144)), 'still full')
    t.equal(a.seen.count('room'), 0)
    world.release(A, B)
    await world.until(() => a.seen.count('room') > 0)
    t.ok(a.transport.send(B, CHANNEL.bulk, numbered(taken, 262_144)))
    await world.until(() => b.seen.numbers(CHANNEL.bulk).length === taken + 1)
    t.same(b.seen.numbers(CHANNEL.bulk), upTo(taken + 1))
    t.same(b.seen.numbers(CHANNEL.raft), [0])
    t.equal(a.seen.count('room'), 1, 'told once')
  },
}

const lives: Readonly<Record<string, Case>> = {
  'a link that breaks is told to both and comes back; nothing arrives twice, or late': async (t, world) => {
    const [a, b] = await pair(world)
    for (const n of upTo(50)) a.transport.send(B, CHANNEL.raft, numbered(n, 50_000))
    world.sever(A, B)
    await world.until(() => a.seen.count('up') === 2 && b.seen.count('up') === 2)
    for (const n of upTo(50, 100)) a.transport.send(B, CHANNEL.raft, numbered(n, 10))
    await world.until(() => b.seen.numbers(CHANNEL.raft).includes(149))
    const came = b.seen.numbers(CHANNEL.raft)
    const early = came.filter((n) => n < 100)
    t.same(early, upTo(early.length), 'a beginning of what was sent on the first link')
    t.same(came.slice(early.length), upTo(50, 100), 'all of what was sent on the second')
    const kinds = b.seen.events.flatMap(({ kind }) => (kind === 'message' ? [] : [kind]))
    t.same(kinds, ['up', 'down', 'up'])
    const down = b.seen.events.findIndex(({ kind }) => kind === 'down')
    t.equal(b.seen.events.slice(down).filter((e) => e.kind === 'message' && numberOf(e.bytes) < 100).length, 0)
  },
  'a peer from which nothing comes is given up, and linked again when it comes back': async (t, world) => {
    const [a, b] = await pair(world)
    world.hold(A, B)
    await world.until(() => a.seen.count('down') === 1 && b.seen.count('down') === 1)
    t.notOk(a.transport.send(B, CHANNEL.raft, numbered(1, 4)))
    world.release(A, B)
    await world.until(() => a.transport.linked(B) && b.transport.linked(A))
    t.ok(a.transport.send(B, CHANNEL.raft, numbered(2, 4)))
    await world.until(() => b.seen.numbers(CHANNEL.raft).includes(2))
    t.same(b.seen.numbers(CHANNEL.raft), [2])
  },
  'a restarted peer is linked anew, and hears nothing that was meant for the former process': async (t, world) => {
    const [a, b] = await pair(world)
    await b.transport.close()
    await world.until(() => a.seen.count('down', B) === 1)
    t.notOk(a.transport.send(B, CHANNEL.raft, numbered(1, 4)))
    const again = await world.member(B)
    introduce(a, again)
    await world.until(() => a.transport.linked(B) && again.transport.linked(A))
    t.ok(a.transport.send(B, CHANNEL.raft, numbered(2, 4)))
    await world.until(() => again.seen.count('message') === 1)
    t.same(again.seen.numbers(CHANNEL.raft), [2])
    t.same(b.seen.events, [{ kind: 'up', peer: A }], 'a closed transport tells nothing, not even its end')
  },
  'who is no peer any more hears what was said before, is let go, and refused from then on': async (t, world) => {
    const [a, b] = await pair(world)
    for (const n of upTo(20)) t.ok(a.transport.send(B, CHANNEL.raft, numbered(n, 20_000)))
    a.transport.peers([])
    t.notOk(a.transport.linked(B))
    t.notOk(a.transport.send(B, CHANNEL.raft, numbered(1, 4)))
    t.equal(a.seen.count('down'), 0, 'nothing is told within the call')
    await world.until(() => a.seen.count('down') === 1 && b.seen.count('down') === 1)
    await world.pass(3 * world.silenceMsMax)
    t.same([a.seen.count('up'), b.seen.count('up')], [1, 1])
    t.same(b.seen.numbers(CHANNEL.raft), upTo(20), 'to the last word')
    introduce(a, b)
    await world.until(() => a.transport.linked(B) && b.transport.linked(A))
  },
  'a wiped directory is another peer: it is refused until it is named': async (t, world) => {
    const [a, b] = await pair(world)
    await b.transport.close()
    const wiped = await world.member('n2@d3')
    wiped.transport.peers([a])
    a.transport.peers([{ peer: B, address: wiped.address }])
    await world.pass(2 * world.silenceMsMax)
    t.notOk(a.transport.linked(B))
    t.same(wiped.seen.events, [])
    introduce(a, wiped)
    await world.until(() => a.transport.linked('n2@d3') && wiped.transport.linked(A))
  },
  'three members have a link for each pair, and one that ends leaves the others alone': async (t, world) => {
    const members = [await world.member(A), await world.member(B), await world.member('n3@d3')]
    introduce(...members)
    const all = () => members.every((one) => members.every((o) => o === one || one.transport.linked(o.peer)))
    await world.until(all)
    world.sever(A, B)
    await world.until(() => members[0]!.seen.count('down') === 1 && members[1]!.seen.count('down') === 1)
    await world.until(all)
    t.same(
      members[2]!.seen.events.map(({ kind }) => kind),
      ['up', 'up'],
    )
  },
  'it closes twice, and tells nothing from the first call on': async (t, world) => {
    const [a, b] = await pair(world)
    b.transport.send(A, CHANNEL.raft, numbered(1, 4))
    const closing = a.transport.close()
    t.notOk(a.transport.linked(B))
    t.notOk(a.transport.send(B, CHANNEL.raft, numbered(1, 4)))
    await closing
    await a.transport.close()
    await world.until(() => b.seen.count('down') === 1)
    t.same(a.seen.events, [{ kind: 'up', peer: B }])
  },
}

/** Runs every claim against a fresh world. */
export function complies(name: string, create: () => Promise<PeersWorld>): void {
  for (const [claim, run] of Object.entries({ ...delivery, ...lives })) {
    t.test(`${name}: ${claim}`, async (t) => {
      const world = await create()
      t.teardown(() => world.close())
      await run(t, world)
    })
  }
}
