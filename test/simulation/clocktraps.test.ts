/**
 * A thousand worlds of clock traps, each decided by its seed, and the faults that they catch. One world alone:
 * SEED=123 node --enable-source-maps test/dist/simulation/clocktraps.test.js
 */
import { type ClusterMs, type GrantedFields, LIMITS, OK, OP } from '@leasehold/protocol'
import type { Recipient, Replica, ReplicatedLog } from '@leasehold/server/replica'
import t from 'tap'
import { type Outcome, type Plant, play, TRAPS } from './traps.js'

const SEEDS = 1_000
/** A planted fault that so many worlds do not notice has survived. */
const PLANT_SEEDS = 400

const LONG = { timeout: 200_000 }
t.setTimeout(LONG.timeout)

const replay = (seed: number) => `SEED=${seed} node --enable-source-maps test/dist/simulation/clocktraps.test.js`

async function outcomeOf(seed: number): Promise<Outcome> {
  try {
    return await play(seed)
  } catch (error) {
    throw new Error(`seed ${seed} broke; again with: ${replay(seed)}`, { cause: error })
  }
}

const seeds =
  process.env.SEED === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(process.env.SEED)]

t.test("the client's local end is never after the moment at which another may hold the lease", LONG, async (t) => {
  const judged = new Map<string, number>()
  for (const seed of seeds) {
    const { trap, judged: was, violation } = await outcomeOf(seed)
    if (violation !== null) {
      t.fail(`seed ${seed} (${trap}): ${violation}; again with: ${replay(seed)}`)
      return
    }
    if (was) judged.set(trap, (judged.get(trap) ?? 0) + 1)
  }
  t.comment(`judged: ${[...judged].map(([trap, count]) => `${trap} ${count}`).join(', ')}`)
  if (seeds.length === SEEDS) for (const trap of TRAPS) t.ok((judged.get(trap) ?? 0) > SEEDS / 8, `${trap} was sprung`)
})

t.test('a seed decides everything', async (t) => {
  for (const seed of [5, 6, 7, 8]) t.same(await play(seed), await play(seed))
})

/** Seeds until the fault is noticed; 0 where it survives. */
async function noticedAfter(plant: Plant): Promise<number> {
  for (let seed = 1; seed <= PLANT_SEEDS; seed++) {
    const { violation } = await play(seed, plant)
    if (violation !== null) return seed
  }
  return 0
}

const withRemaining = ([token, ttlMs, , replayed, holder]: GrantedFields, remainingMs: number): GrantedFields => [
  token,
  ttlMs,
  remainingMs,
  replayed,
  holder,
]

/** Stamps each batch with the time at which it began to gather: when the one before it was closed. */
function stampedAtOpening(log: ReplicatedLog): ReplicatedLog {
  let closedMs: ClusterMs | null = null
  const append: ReplicatedLog['append'] = (drafts) => {
    const openedMs = closedMs ?? drafts[0]!.timeMs
    closedMs = drafts[0]!.timeMs
    return log.append(drafts.map((draft) => ({ ...draft, timeMs: openedMs })))
  }
  return new Proxy(log, {
    get(target, key) {
      if (key === 'append') return append
      const value = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Answers a replayed acquire with what remained at its first answer. */
function replaysFirstRemaining(replica: Replica): Replica {
  const first = new Map<number, number>()
  const remember = (to: Recipient): Recipient => ({
    flush: () => to.flush(),
    reply(id, attempt, code, fields) {
      const granted = fields as GrantedFields
      if (code !== OK || granted.length !== 5) return to.reply(id, attempt, code, fields)
      const kept = first.get(granted[0])
      if (kept === undefined) first.set(granted[0], granted[2])
      const replayed = kept !== undefined && granted[3]
      to.reply(id, attempt, code, replayed ? withRemaining(granted, kept) : fields)
    },
  })
  const recipients = new Map<Recipient, Recipient>()
  const tampered = (to: Recipient) => {
    let other = recipients.get(to)
    if (other === undefined) {
      other = remember(to)
      recipients.set(to, other)
    }
    return other
  }
  return new Proxy(replica, {
    get(target, key) {
      if (key === 'submit') {
        const submit: Replica['submit'] = (command, to, id, attempt, deadlineMs) =>
          target.submit(command, command.op === OP.acquire ? tampered(to) : to, id, attempt, deadlineMs)
        return submit
      }
      const value = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const PLANTS: Readonly<Record<string, Plant>> = {
  'validity counted from the arrival of the answer': {
    renewed: (holder, mark, fields) => [
      { monotonicMs: holder.monotonicMs(), steadyMs: holder.wallMs(), epoch: mark.epoch },
      fields,
    ],
  },
  'drift ignored': {
    renewed: (_, mark, fields) => [mark, withRemaining(fields, Math.ceil((fields[2] + 2) / (1 - LIMITS.driftMin)))],
  },
  'a batch stamped when it opens': { tampering: { log: (log) => stampedAtOpening(log) } },
  'a replay with what remained at first': { tampering: { replica: replaysFirstRemaining } },
}

t.test('planted faults are noticed', LONG, async (t) => {
  for (const [name, plant] of Object.entries(PLANTS)) {
    const seed = await noticedAfter(plant)
    t.ok(seed > 0, `${name}: noticed by seed ${seed}`)
  }
})
