/**
 * What is done to a cluster while clients use it. Each does it over and over until its time is over, and leaves the rest to
 * the world's mending.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from './member.js'
import { inject } from './strace.js'
import type { World } from './world.js'

export type Need = 'three members' | 'network' | 'small disks' | 'strace'

export interface Nemesis {
  readonly name: string
  readonly needs: readonly Need[]
  /** Once. */
  strike(world: World, random: () => number, pauseMsMax: number): Promise<void>
}

const pick = <T>(random: () => number, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

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
  {
    name: 'kill -9 the leader',
    needs: [],
    strike: async (world, random) => killAndRestart([await world.leader()], random),
  },
  {
    name: 'kill -9 a member',
    needs: ['three members'],
    strike: (world, random) => killAndRestart([pick(random, world.members)], random),
  },
  {
    name: 'kill -9 two members',
    needs: ['three members'],
    strike: (world, random) => killAndRestart(world.others(pick(random, world.members)), random),
  },
  {
    name: 'kill -9 all members',
    needs: ['three members'],
    strike: (world, random) => killAndRestart(world.members, random),
  },
]

const pauses: readonly Nemesis[] = [
  {
    name: 'pause the leader',
    needs: [],
    strike: async (world, random, pauseMsMax) => pause(await world.leader(), random, pauseMsMax),
  },
  {
    name: 'pause a member',
    needs: ['three members'],
    strike: (world, random, pauseMsMax) => pause(pick(random, world.members), random, pauseMsMax),
  },
]

const cuts: readonly Nemesis[] = [
  {
    name: 'cut the leader off',
    needs: ['three members', 'network'],
    async strike(world, random) {
      const leader = await world.leader()
      await cutFor(world, random, () => {
        for (const other of world.others(leader)) world.network!.cut(leader.number, other.number)
      })
    },
  },
  {
    name: 'cut one way between the leader and another',
    needs: ['three members', 'network'],
    async strike(world, random) {
      const leader = await world.leader()
      const other = pick(random, world.others(leader))
      const [from, to] = random() < 0.5 ? [leader, other] : [other, leader]
      await cutFor(world, random, () => world.network!.cutOneWay(from.number, to.number))
    },
  },
  {
    name: 'the leader hears nobody, or nobody hears it',
    needs: ['three members', 'network'],
    async strike(world, random) {
      const leader = await world.leader()
      const deaf = random() < 0.5
      await cutFor(world, random, () => {
        for (const { number } of world.others(leader))
          world.network!.cutOneWay(deaf ? number : leader.number, deaf ? leader.number : number)
      })
    },
  },
  {
    name: 'a bridge: two members see only the third',
    needs: ['three members', 'network'],
    async strike(world, random) {
      const [a, b] = world.others(pick(random, world.members))
      await cutFor(world, random, () => world.network!.cut(a!.number, b!.number))
    },
  },
  {
    name: 'all cut from all',
    needs: ['three members', 'network'],
    async strike(world, random) {
      await cutFor(world, random, () => {
        for (const a of world.members)
          for (const b of world.members) if (a.number < b.number) world.network!.cut(a.number, b.number)
      })
    },
  },
]

const disks: readonly Nemesis[] = [
  {
    name: 'the disk of a member is full',
    needs: ['small disks'],
    async strike(world, random) {
      const at = Math.floor(random() * world.members.length)
      const member = world.members[at]!
      member.mayEnd = true
      world.disks[at]!.fill()
      await member.ended(1_000 + random() * 2_000)
      world.disks[at]!.free()
      await restarted(member)
    },
  },
  {
    name: 'a sync of the disk fails',
    needs: ['strace'],
    async strike(world, random) {
      const member = random() < 0.5 ? await world.leader() : pick(random, world.members)
      member.mayEnd = true
      const injection = await inject(member.pid, 'error=EIO')
      // It must not go on after a failed write.
      const ended = await member.ended(10_000)
      await injection.stop()
      if (!ended) throw new Error(`${member.name} goes on after EIO`)
      await restarted(member)
    },
  },
  {
    name: 'syncs of the disk are slow',
    needs: ['strace'],
    async strike(world, random) {
      const member = random() < 0.5 ? await world.leader() : pick(random, world.members)
      const ms = pick(random, [5, 50, 300, 1_500])
      const injection = await inject(member.pid, `delay_enter=${ms * 1_000}`)
      await sleep(1_000 + random() * 2_000)
      await injection.stop()
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

export const NEMESES: readonly Nemesis[] = [
  ...alone,
  {
    name: 'one thing after the other',
    needs: ['three members'],
    async strike(world, random, pauseMsMax) {
      const network = world.network !== null
      const possible = [...kills, ...pauses, ...(network ? cuts : [])]
      await pick(random, possible).strike(world, random, Math.min(pauseMsMax, 2_000))
    },
  },
]
