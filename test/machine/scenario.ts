/**
 * Generated lives of a cluster: entries whose times jump, terms that change, retries, stale tokens, and what storage
 * does in between. Alphabets are small, so that things collide. Steps are abstract (the second last request, again); a
 * Scenario makes commands of them as it goes.
 */
import {
  type Acquire,
  auditSeq,
  type Command,
  clusterMs,
  fencingToken,
  INTERNAL_OP,
  logIndex,
  OP,
  type RequestToken,
  type Revoke,
  run,
  term,
  waiterId,
  wallMs,
} from '@leasehold/protocol'
import type { Entry, MachineLimits } from '@leasehold/server/machine'
import fc from 'fast-check'
import type { Model } from './model.js'

const NAMES = ['a', 'a/b', 'b']
const HOLDERS = ['h1', 'h2', 'h3']
const PRINCIPALS = ['alice', 'bob']
const MEMBERS = ['n1', 'n2']
const CONFIGURATIONS = [
  { voters: ['n1@d', 'n2@d'], outgoing: [], learners: [] },
  { voters: ['n1@d'], outgoing: ['n2@d'], learners: [] },
  { voters: ['n1@d'], outgoing: [], learners: ['n1@e', 'n3@d'] },
  { voters: ['n2@d'], outgoing: [], learners: [] },
  { voters: [], outgoing: [], learners: ['n1@d'] },
].map((lists) => {
  const peers = [...lists.voters, ...lists.outgoing, ...lists.learners]
  return { ...lists, addresses: Object.fromEntries(peers.map((peer) => [peer, `${peer[1]}.example:7421`])) }
})
const STRING_KEYS = ['k1', 'k2', 'k3']

/** How a request gets its token. */
type Naming =
  | { is: 'none' }
  | { is: 'key'; key: number }
  /** The next number of a session; `keep` requests before it count as unanswered. */
  | { is: 'sequence'; session: number; keep: number; skip: number; knownAgoMs: number }

export type Act =
  | {
      is: 'acquire'
      name: number
      holder: number
      principal: number
      ttlMs: number
      waitMs: number
      priority: number
      lockDelayMs: number
      meta: string | null
      naming: Naming
    }
  | { is: 'revoke'; name: number; principal: number; naming: Naming }
  | { is: 'retry'; back: number; change: 'none' | 'wait' | 'name' | 'lowest' }
  | { is: 'renew' | 'release' | 'transfer'; pick: number; name: number | null; to: number; principal: number }
  | { is: 'cancel'; back: number; ahead: boolean }
  | { is: 'lost'; pick: number }
  | { is: 'run'; member: number; again: boolean }
  | { is: 'configure'; pick: number }
  | { is: 'trim'; back: number }
  | { is: 'raise'; by: number }
  | { is: 'beat' | 'sweep' }

/** How the entry's batch is numbered; `again` is the member's last counted batch, commands and all. */
const COUNTED = ['no', 'next', 'next', 'skip', 'again', 'again', 'earlier', 'old run', 'no run'] as const
type Counted = (typeof COUNTED)[number]

export type Step =
  | { is: 'entry'; afterMs: number; terms: number; member: number; counted: Counted; acts: Act[] }
  /** Storage takes what changed. */
  | { is: 'checkpoint' }
  /** All rows go through their stored form. */
  | { is: 'reload' }
  /** The process dies: the last checkpoint is loaded, and the log from there on replayed. */
  | { is: 'recover' }

const naming: fc.Arbitrary<Naming> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Naming>({ is: 'none' }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('key' as const), key: fc.nat(STRING_KEYS.length - 1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('sequence' as const),
      session: fc.nat(1),
      keep: fc.nat(3),
      skip: fc.constantFrom(0, 0, 0, 1, 20),
      knownAgoMs: fc.constantFrom(0, 0, 100, 5_000),
    }),
  },
)

const acquire = fc.record({
  is: fc.constant('acquire' as const),
  name: fc.nat(NAMES.length - 1),
  holder: fc.nat(HOLDERS.length - 1),
  principal: fc.constantFrom(0, 0, 0, 1),
  ttlMs: fc.constantFrom(100, 250, 1_000, 70_000),
  waitMs: fc.constantFrom(0, 1, 200, 900, 4_000, 4_000),
  priority: fc.constantFrom(0, 0, 1, -1),
  lockDelayMs: fc.constantFrom(0, 0, 40, 600),
  meta: fc.constantFrom(null, null, 'm'),
  naming,
})

const byToken = fc.record({
  is: fc.constantFrom('renew' as const, 'renew' as const, 'release' as const, 'transfer' as const),
  pick: fc.integer({ min: -3, max: 6 }),
  name: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(NAMES.length - 1) }),
  to: fc.nat(HOLDERS.length - 1),
  principal: fc.nat(1),
})

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 10, arbitrary: acquire },
  { weight: 9, arbitrary: byToken },
  {
    weight: 2,
    arbitrary: fc.record({ is: fc.constant('revoke' as const), name: fc.nat(2), principal: fc.nat(1), naming }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant('retry' as const),
      back: fc.nat(5),
      change: fc.constantFrom(
        'none' as const,
        'none' as const,
        'none' as const,
        'wait' as const,
        'name' as const,
        'lowest' as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant('cancel' as const),
      back: fc.nat(4),
      ahead: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('lost' as const), pick: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ is: fc.constant('run' as const), member: fc.nat(1), again: fc.boolean() }),
      fc.record({ is: fc.constant('configure' as const), pick: fc.nat(CONFIGURATIONS.length - 1) }),
      fc.record({ is: fc.constant('trim' as const), back: fc.integer({ min: -1, max: 5 }) }),
      fc.record({ is: fc.constant('raise' as const), by: fc.integer({ min: -2, max: 9 }) }),
      fc.record({ is: fc.constantFrom('beat' as const, 'sweep' as const) }),
    ),
  },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      is: fc.constant('entry' as const),
      afterMs: fc.constantFrom(0, 1, 7, 40, 100, 150, 260, 500, 1_000, 2_500, 12_000, 90_000),
      terms: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
      member: fc.nat(1),
      counted: fc.constantFrom(...COUNTED),
      acts: fc.array(act, { maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ is: 'checkpoint' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ is: 'reload' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ is: 'recover' }) },
)

export const life: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: 40 })

/** Small limits, so that they are met. */
export const limits: fc.Arbitrary<MachineLimits> = fc.record({
  waitersPerNameMax: fc.constantFrom(1, 2, 4),
  claimWithinMs: fc.constantFrom(50, 300),
  lostWaiterKeptMs: fc.constantFrom(120, 500),
  endingKeptMs: fc.constantFrom(400, 100_000),
  endingsMax: fc.constantFrom(4, 12),
  endingsPerRow: fc.constantFrom(1, 2),
  renewalsPerRow: fc.constantFrom(1, 3),
  retentionMs: fc.constantFrom(300, 3_000),
  recordsPerPrincipalMax: fc.constantFrom(2, 6, 100),
  sweepPerEntryMax: fc.constantFrom(1, 2, 100),
  holdMs: fc.constantFrom(200, 1_000),
  holdEveryMs: fc.constantFrom(1_500, 10_000),
  tokenMax: fc.constant(Number.MAX_SAFE_INTEGER),
  membersMax: fc.constantFrom(1, 2, 64),
  quotasMax: fc.constant(8),
  quotaDepthMax: fc.constant(3),
  quotaRetiredMax: fc.constant(2),
  quotaGrantMs: fc.constant(200),
})

type Batch = Pick<Entry, 'member' | 'run' | 'batch' | 'commands'>

/** Makes entries of steps, by what the model knows. */
/** Members' processes know formats up to one of 1, 2 and this. */
export const FORMAT_MAX = 3

export class Scenario {
  readonly #model: Model
  #index = 0
  #term = 1
  #timeMs = 0
  readonly #batches = new Map<string, Batch>()
  #starts = 0
  readonly #sent: (Acquire | Revoke)[] = []
  readonly #next = new Map<string, number>()

  constructor(model: Model) {
    this.#model = model
  }

  entry(step: Extract<Step, { is: 'entry' }>): Entry {
    this.#term += step.terms
    this.#timeMs += step.afterMs
    return {
      term: term(this.#term),
      index: logIndex(++this.#index),
      timeMs: clusterMs(this.#timeMs),
      wallMs: wallMs(1_700_000_000_000 + this.#timeMs),
      ...this.#batch(step),
    }
  }

  #batch({ member: at, counted, acts }: Extract<Step, { is: 'entry' }>): Batch {
    const member = MEMBERS[at]!
    const before = this.#batches.get(member)
    if (counted === 'again' && before !== undefined) return before
    const current = this.#model.startOf(member)?.run ?? 0
    const last = this.#model.lastBatch(current)
    const commands = acts.map((one) => this.#command(one))
    if (counted === 'no') return { member, run: run(0), batch: 0, commands }
    const batch = { member, run: run(current), batch: last + 1, commands }
    if (counted === 'skip') batch.batch = last + 3
    if (counted === 'earlier') batch.batch = Math.max(1, last - 1)
    if (counted === 'old run') batch.run = run(Math.max(0, current - 1))
    if (counted === 'no run') batch.run = run(0)
    this.#batches.set(member, batch)
    return batch
  }

  #command(act: Act): Command {
    switch (act.is) {
      case 'acquire': {
        const { is: _is, naming: named, ...rest } = act
        const principal = PRINCIPALS[act.principal]!
        return this.#send({
          ...rest,
          op: OP.acquire,
          name: NAMES[act.name]!,
          holder: HOLDERS[act.holder]!,
          principal,
          request: this.#request(principal, named),
        })
      }
      case 'revoke': {
        const principal = PRINCIPALS[act.principal]!
        return this.#send({
          op: OP.revoke,
          name: NAMES[act.name]!,
          principal,
          request: this.#request(principal, act.naming),
        })
      }
      case 'retry':
        return this.#retry(act)
      case 'renew':
      case 'release':
      case 'transfer':
        return this.#byToken(act)
      case 'cancel':
        return this.#cancel(act)
      case 'lost':
        return { op: INTERNAL_OP.waiterLost, waiter: waiterId(this.#model.waiting[act.pick]?.id ?? act.pick) }
      case 'run':
        return this.#start(MEMBERS[act.member]!, act.again)
      case 'configure':
        return { op: INTERNAL_OP.configure, configuration: CONFIGURATIONS[act.pick]! }
      case 'trim':
        return { op: INTERNAL_OP.trimAudit, through: auditSeq(Math.max(0, this.#model.audit.last - act.back)) }
      case 'raise':
        return { op: INTERNAL_OP.raiseTokens, floor: fencingToken(Math.max(1, this.#model.token + act.by)) }
      case 'beat':
        return { op: INTERNAL_OP.beat }
      case 'sweep':
        return { op: INTERNAL_OP.sweep }
    }
  }

  #start(member: string, again: boolean): Command {
    const nonce = (again ? this.#model.startOf(member)?.nonce : undefined) ?? `start-${++this.#starts}`
    const formatMax = 1 + (this.#starts % FORMAT_MAX)
    return { op: INTERNAL_OP.admitRun, member, nonce, url: `http://${member}:${nonce}`, peerUrl: nonce, formatMax }
  }

  #send<C extends Acquire | Revoke>(command: C): C {
    if (command.request !== null) this.#sent.push(command)
    return command
  }

  #request(principal: string, named: Naming): RequestToken | null {
    if (named.is === 'none') return null
    if (named.is === 'key') {
      return { scope: `p:${principal}`, key: STRING_KEYS[named.key]!, lowest: 0, knownMs: clusterMs(this.#timeMs) }
    }
    const scope = `s:${named.session}`
    const key = (this.#next.get(scope) ?? 0) + 1 + named.skip
    this.#next.set(scope, key)
    const knownMs = clusterMs(Math.max(0, this.#timeMs - named.knownAgoMs))
    return { scope, key, lowest: Math.max(1, key - named.keep), knownMs }
  }

  #retry({ back, change }: Extract<Act, { is: 'retry' }>): Command {
    const sent = this.#sent.at(-1 - back)
    if (sent === undefined) return { op: INTERNAL_OP.beat }
    if (change === 'wait' && sent.op === OP.acquire) return { ...sent, waitMs: 2_000 }
    if (change === 'name') return { ...sent, name: NAMES[(NAMES.indexOf(sent.name) + 1) % NAMES.length]! }
    if (change === 'lowest')
      return { ...sent, request: { ...sent.request!, lowest: this.#next.get(sent.request!.scope) ?? 0 } }
    return sent
  }

  /** A live grant's token with its own name, mostly; else one counted back from the newest, also one never issued. */
  #byToken(act: Extract<Act, { is: 'renew' | 'release' | 'transfer' }>): Command {
    const live = this.#model.grants[act.pick]
    const token = fencingToken(Math.max(1, live?.token ?? this.#model.token - act.pick - 2))
    const name = act.name !== null ? NAMES[act.name]! : (live?.name ?? NAMES[0]!)
    const principal = PRINCIPALS[act.principal]!
    if (act.is === 'transfer') {
      const wanted = this.#model.queueOf(name)[act.to]?.ask.holder ?? HOLDERS[act.to]!
      return { op: OP.transfer, principal, name, token, to: wanted }
    }
    return { op: OP[act.is], principal, name, token }
  }

  #cancel({ back, ahead }: Extract<Act, { is: 'cancel' }>): Command {
    const sent = this.#sent.at(-1 - back)
    const principal = sent?.principal ?? PRINCIPALS[0]!
    const scope = sent?.request?.scope ?? 's:9'
    const known = sent?.request?.key ?? 1
    const key = ahead && typeof known === 'number' ? (this.#next.get(scope) ?? 0) + 1 : known
    return { op: OP.cancelWait, principal, scope, key }
  }
}
