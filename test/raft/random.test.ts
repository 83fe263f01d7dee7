/**
 * Raft's safety, at every step of lives that nobody planned; and that every one of them goes on once the world is kind again. A failure
 * names its seed.
 */
import t from 'tap'
import { type Member, World } from './world.js'

const STEPS = 2_000
/** Steps of calm, and then of storm. */
const WEATHER = 400
/** Of kindness, in ticks. */
const ROUNDS = 200

/** One thing happens. Mostly the normal course, so that something is there to be broken; at times a storm. */
function happen(world: World, storm: boolean): void {
  const member = world.pick(world.members)
  const dice = world.random()
  if (dice < 0.12) tick(world, member)
  else if (dice < 0.62) deliverOne(world)
  else if (dice < 0.82) world.land(member)
  else if (dice < 0.89) world.propose(leaderOr(world, member), 1 + Math.floor(world.random() * 6))
  else if (dice < 0.92) world.read(leaderOr(world, member))
  else if (storm || dice < 0.925) mishap(world, member)
}

function mishap(world: World, member: Member): void {
  const other = world.pick(world.members)
  const dice = world.random()
  if (dice < 0.1) world.crash(member)
  else if (dice < 0.4) world.start(member)
  else if (dice < 0.45) world.link(member, other, false)
  else if (dice < 0.55) world.link(member, other, true)
  else if (dice < 0.59) world.cut.add(`${member.id}>${other.id}`)
  else if (dice < 0.63) isolate(world, leaderOr(world, member))
  else if (dice < 0.72) reunite(world)
  else if (dice < 0.77) world.trim(member)
  else if (dice < 0.8) world.feed(leaderOr(world, member), (core) => core.transferLeadership(other.id))
  else if (dice < 0.83) world.feed(member, (core) => core.campaign())
  else if (dice < 0.93) world.reconfigure(leaderOr(world, member), ...drawVoters(world))
  else member.reads.clear()
}

function deliverOne(world: World): void {
  const { parcels } = world
  if (parcels.length === 0) return
  // Mostly the oldest ones, sometimes any: what is delayed comes much later.
  const span = world.chance(0.8) ? Math.min(4, parcels.length) : parcels.length
  const [parcel] = parcels.splice(Math.floor(world.random() * span), 1)
  if (world.chance(0.05)) parcels.push(parcel!)
  if (world.chance(0.05)) world.lose(parcel!)
  else world.deliver(parcel!)
  if (parcels.length > 200) for (const old of parcels.splice(0, 100)) world.lose(old)
}

/** Somebody who believes to lead; there may be several. */
function leaderOr(world: World, member: Member): Member {
  const leaders = world.members.filter(({ core }) => core?.status.role === 'leader')
  return leaders.length > 0 && world.chance(0.9) ? world.pick(leaders) : member
}

function reunite(world: World): void {
  world.cut.clear()
  for (const member of world.members) member.pace = 1
}

function tick(world: World, member: Member): void {
  if (world.chance(member.pace)) world.feed(member, (core) => core.tick())
}

/** It hears nobody, nobody hears it, and no link says so. It is slow, too: it still leads when somebody else does. */
function isolate(world: World, member: Member): void {
  member.pace = 0.1
  for (const { id } of world.members) world.cut.add(`${member.id}>${id}`).add(`${id}>${member.id}`)
}

function drawVoters(world: World): [string[], string[]] {
  const voters: string[] = []
  const learners: string[] = []
  for (const { id } of world.members) {
    const dice = world.random()
    if (dice < 0.6) voters.push(id)
    else if (dice < 0.8) learners.push(id)
  }
  return [voters.length > 0 ? voters : [world.members[0]!.id], learners]
}

/** The world is kind: everybody runs, hears everybody, and writes at once. True once all members have applied a new entry. */
function heals(world: World): boolean {
  world.cut.clear()
  world.calm = true
  for (const member of world.members) {
    world.start(member)
    for (const other of world.members) if (other !== member) world.feed(member, (core) => core.linkUp(other.id))
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const member of world.members) world.feed(member, (core) => core.tick())
    settle(world)
    const leader = world.members.find(({ core }) => core?.status.role === 'leader')
    if (leader === undefined) continue
    const { voters, learners, outgoing } = leader.core!.status.configuration
    const named = world.members.filter(({ id }) => voters.includes(id) || learners.includes(id))
    const goal = leader.core!.status.lastIndex
    if (round > ROUNDS / 2 && outgoing.length === 0 && named.every(({ applied }) => applied.index === goal)) return true
    if (leader.core!.mayReconfigure && outgoing.length > 0) world.reconfigure(leader, [], [])
    else if (round < ROUNDS / 2 || !leader.core!.mayReconfigure) world.propose(leader, 1)
  }
  return false
}

function settle(world: World): void {
  for (let i = 0; i < 2_000; i++) {
    for (const member of world.members) world.land(member)
    const parcel = world.parcels.shift()
    if (parcel !== undefined) world.deliver(parcel)
    else if (world.members.every(({ flight, installing }) => flight === null && installing === null)) return
  }
}

function live(seed: number, voters: number, spares: number): void {
  const world = new World(seed, voters, spares)
  try {
    for (let step = 0; step < STEPS; step++) happen(world, step % (2 * WEATHER) >= WEATHER)
    if (!heals(world)) throw new Error(`it does not recover: ${world.describe()}`)
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  }
}

/** More of them: `RAFT_SEEDS=5000 node test/dist/raft/random.test.js`. */
const FROM = Number(process.env.RAFT_SEED ?? 1)
const COUNT = Number(process.env.RAFT_SEEDS ?? 200)

for (const [voters, spares] of [
  [3, 0],
  [5, 0],
  [3, 2],
] as const) {
  t.test(`${voters} voters and ${spares} others keep Raft's promises in ${COUNT} hostile worlds`, async (t) => {
    for (let seed = FROM; seed < FROM + COUNT; seed++) {
      try {
        live(seed * 10 + voters + spares, voters, spares)
      } catch (error) {
        t.fail(`${(error as Error).message}\n${((error as Error).cause as Error).stack}`)
        return
      }
    }
    t.pass('all of them')
  })
}
