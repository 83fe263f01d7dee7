/**
 * What is done to a cluster while clients use it. Each does it over and over until its time is over, and leaves the rest to
 * the world's mending.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from './member.js'
import { inject } from './strace.js'
import type { World } from './world.js'

export type Need = 'three members' | 'network' | 'small disks' | 'strace'

/** To whom it was done. */
export type Struck = 'leader' | 'follower' | 'several'

export interface Nemesis {
  readonly name: string
  readonly needs: readonly Need[]
  /** Strikes the leader and a follower in turn. */
  readonly inTurn?: boolean
  /** Once; `turn` is how often it was done before. Resolves with the kind that it was, and to whom it was done. */
  strike(world: World, random: () => number, pauseMsMax: number, turn: number): Promise<Strike>
}

export interface Strike {
  readonly kind: string
  readonly struck: Struck
}

const pick = <T>(random: () => number, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

/** The leader and a follower in turn. Of one that is alone: it leads. */
async function inTurn(world: World, random: () => number, turn: number): Promise<{ member: Member; struck: Struck }> {
  const leader = await world.leader()
  const others = world.others(leader)
  if (others.length === 0 || turn % 2 === 0) return { member: leader, struck: 'leader' }
  return { member: pick(random, others), struck: 'follower' }
}

const aFollower = async (world: World, random: () => number): Promise<Member> =>
  pick(random, world.others(await world.leader()))

/** A kind that always strikes the same. */
function always(
  name: string,
  needs: readonly Need[],
  struck: Struck,
  strike: (world: World, random: () => number, pauseMsMax: number) => Promise<void>,
): Nemesis {
  return {
    name,
    needs,
    async strike(world, random, pauseMsMax) {
      await strike(world, random, pauseMsMax)
      return { kind: name, struck }
    },
  }
}

async function killAndRestart(members: readonly Member[], random: () => number): Promise<void> {
  await Promise.all(members.map((member) => member.end('SIGKILL')))
  await sleep(random() * 800)
  for (const member of members) member.start()
  await Promise.all(members.map((member) => member.ready()))
}

async function pause(member: Member, random: () => number, pauseMsMax: number): Promise<void> {
  member.signal('SIGSTOP')
  // Evenly over orders of magnitude, from 0.1 s.
  await sleep(100 * (pauseMsMax / 100) ** random())
  member.signal('SIGCONT')
}

async function cutFor(world: World, random: () => number, cut: () => void): Promise<void> {
  cut()
  await sleep(300 + random() * 3_000)
  world.network!.heal()
}

const kills: readonly Nemesis[] = [
  always('kill -9 the leader', [], 'leader', async (world, random) => killAndRestart([await world.leader()], random)),
  always('kill -9 a follower', ['three members'], 'follower', async (world, random) =>
    killAndRestart([await aFollower(world, random)], random),
  ),
  always('kill -9 two members', ['three members'], 'several', (world, random) =>
    killAndRestart(world.others(pick(random, world.members)), random),
  ),
  always('kill -9 all members', ['three members'], 'several', (world, random) => killAndRestart(world.members, random)),
]

const pauses: readonly Nemesis[] = [
  always('pause the leader', [], 'leader', async (world, random, pauseMsMax) =>
    pause(await world.leader(), random, pauseMsMax),
  ),
  always('pause a follower', ['three members'], 'follower', async (world, random, pauseMsMax) =>
    pause(await aFollower(world, random), random, pauseMsMax),
  ),
]

const NETWORK: readonly Need[] = ['three members', 'network']

async function cutOff(world: World, random: () => number, member: Member): Promise<void> {
  await cutFor(world, random, () => {
    for (const other of world.others(member)) world.network!.cut(member.number, other.number)
  })
}

const cuts: readonly Nemesis[] = [
  always('cut the leader off', NETWORK, 'leader', async (world, random) => cutOff(world, random, await world.leader())),
  always('cut a follower off', NETWORK, 'follower', async (world, random) =>
    cutOff(world, random, await aFollower(world, random)),
  ),
  always('cut one way between the leader and another', NETWORK, 'several', async (world, random) => {
    const leader = await world.leader()
    const other = pick(random, world.others(leader))
    const [from, to] = random() < 0.5 ? [leader, other] : [other, leader]
    await cutFor(world, random, () => world.network!.cutOneWay(from.number, to.number))
  }),
  {
    name: 'a member hears nobody, or nobody hears it',
    needs: NETWORK,
    inTurn: true,
    async strike(world, random, _pauseMsMax, turn) {
      const { member, struck } = await inTurn(world, random, turn)
      const deaf = random() < 0.5
      await cutFor(world, random, () => {
        for (const { number } of world.others(member))
          world.network!.cutOneWay(deaf ? number : member.number, deaf ? member.number : number)
      })
      return { kind: this.name, struck }
    },
  },
  always('a bridge: two members see only the third', NETWORK, 'several', async (world, random) => {
    const [a, b] = world.others(pick(random, world.members))
    await cutFor(world, random, () => world.network!.cut(a!.number, b!.number))
  }),
  always('all cut from all', NETWORK, 'several', async (world, random) => {
    await cutFor(world, random, () => {
      for (const a of world.members)
        for (const b of world.members) if (a.number < b.number) world.network!.cut(a.number, b.number)
    })
  }),
]

const disks: readonly Nemesis[] = [
  {
    name: 'the disk of a member is full',
    needs: ['small disks'],
    inTurn: true,
    async strike(world, random, _pauseMsMax, turn) {
      const { member, struck } = await inTurn(world, random, turn)
      const disk = world.disks[world.members.indexOf(member)]!
      member.mayEnd = true
      disk.fill()
      await member.ended(1_000 + random() * 2_000)
      disk.free()
      await restarted(member)
      return { kind: this.name, struck }
    },
  },
  {
    name: 'a sync of the disk fails',
    needs: ['strace'],
    inTurn: true,
    async strike(world, random, _pauseMsMax, turn) {
      const { member, struck } = await inTurn(world, random, turn)
      member.mayEnd = true
      const injection = await inject(member.pid, 'error=EIO')
      // It must not go on after a failed write.
      const ended = await member.ended(10_000)
      await injection.stop()
      if (!ended) throw new Error(`${member.name} goes on after EIO`)
      await restarted(member)
      return { kind: this.name, struck }
    },
  },
  {
    name: 'syncs of the disk are slow',
    needs: ['strace'],
    inTurn: true,
    async strike(world, random, _pauseMsMax, turn) {
      const { member, struck } = await inTurn(world, random, turn)
      const ms = pick(random, [5, 50, 300, 1_500])
      const injection = await inject(member.pid, `delay_enter=${ms * 1_000}`)
      await sleep(1_000 + random() * 2_000)
      await injection.stop()
      return { kind: this.name, struck }
    },
  },
]

/** A member that ended is started again; one that did not is as before. */
async function restarted(member: Member): Promise<void> {
  if (!member.alive) member.start()
  await member.ready()
  member.mayEnd = false
}

const alone: readonly Nemesis[] = [...kills, ...pauses, ...cuts, ...disks]

/** Each strike counts as the kind that it was. */
export const MIXED = 'one thing after the other'

export const NEMESES: readonly Nemesis[] = [
  ...alone,
  {
    name: MIXED,
    needs: ['three members'],
    strike(world, random, pauseMsMax, turn) {
      const possible = [...kills, ...pauses, ...(world.network === null ? [] : cuts)]
      return pick(random, possible).strike(world, random, Math.min(pauseMsMax, 2_000), turn)
    },
  },
]
