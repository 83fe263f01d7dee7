/**
 * The bound, whatever happens: an outside clock that writes down all that holders spend finds burst + rate x time in no window exceeded. The
 * holders are greedy and dishonest about nothing but time: they spend all they can, whenever they like, until their tabs end.
 */
import { type Bandwidth, INTERNAL_OP, type QuotaSpec, type TabReport } from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { Admissions } from '#bench/admissions.js'
import { Disk } from './disk.js'
import { per, QuotaWorld, remove, set, specOf } from './quotaworld.js'

const MEMBERS = ['n1', 'n2']
/** As each may be set: the bound is that of the largest burst and the largest rate, since no change may add anything. */
const WAYS: Readonly<Record<string, readonly QuotaSpec[]>> = {
  all: [specOf([per(20, 1_000, 40)]), specOf([per(20, 1_000, 15)]), specOf([per(5, 1_000, 40)])],
  a: [
    specOf([per(10, 1_000, 30)], { parent: 'all' }),
    specOf([per(10, 1_000, 10), per(40, 10_000, 30)], { parent: 'all', weight: 3 }),
    specOf([per(10, 1_000, 30)]),
  ],
  b: [
    specOf([per(8, 1_000, 12)], { parent: 'all', guaranteedPercent: 50 }),
    specOf([per(8, 1_000, 3)], { parent: 'all' }),
  ],
}
const BOUNDS: Readonly<Record<string, Bandwidth>> = {
  all: per(20, 1_000, 40),
  a: per(10, 1_000, 30),
  b: per(8, 1_000, 12),
}

type Step =
  | { is: 'wait'; ms: number }
  | { is: 'set'; quota: string; way: number }
  | { is: 'delete'; quota: string }
  | { is: 'draw'; wants: readonly { member: string; quota: string; tokens: number }[]; again: boolean }
  | { is: 'spend'; member: string; quota: string; tokens: number }
  | { is: 'giveBack'; member: string; quota: string; tokens: number }
  | { is: 'restart'; member: string }
  | { is: 'reload' }

const quota = fc.constantFrom(...Object.keys(WAYS))
const member = fc.constantFrom(...MEMBERS)
const tokens = fc.integer({ min: 1, max: 30 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ is: fc.constant('wait' as const), ms: fc.oneof(fc.nat(50), fc.nat(3_000)) }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('set' as const), quota, way: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('delete' as const), quota }) },
  {
    weight: 8,
    arbitrary: fc.record({
      is: fc.constant('draw' as const),
      wants: fc.array(fc.record({ member, quota, tokens }), { maxLength: 4 }),
      again: fc.boolean(),
    }),
  },
  { weight: 8, arbitrary: fc.record({ is: fc.constant('spend' as const), member, quota, tokens }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('giveBack' as const), member, quota, tokens }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('restart' as const), member }) },
  { weight: 1, arbitrary: fc.constant({ is: 'reload' as const }) },
)

/** What a holder has of one tab. After a restart nobody reports it any more, but it may still be spent. */
interface Held {
  readonly quota: string
  readonly tab: number
  /** The quotas above as they were when it was drawn: none may change while tokens are out. */
  chain: readonly string[]
  endMs: number
  left: number
  spent: number
  returned: number
}

class Story {
  readonly world = new QuotaWorld({ quotaRetiredMax: 8 }, MEMBERS)
  readonly disk = new Disk()
  readonly books = new Map(Object.entries(BOUNDS).map(([name, bound]) => [name, new Admissions([bound], 0)]))
  readonly held = new Map<string, Held>()
  readonly orphans: Held[] = []
  admitted = 0

  play(one: Step): void {
    const { world } = this
    if (one.is === 'wait') world.nowMs += one.ms
    else if (one.is === 'set') world.do(set(one.quota, WAYS[one.quota]![one.way % WAYS[one.quota]!.length]!))
    else if (one.is === 'delete') world.do(remove(one.quota))
    else if (one.is === 'draw') this.#draw(one.wants, one.again)
    else if (one.is === 'restart') this.#restart(one.member)
    else if (one.is === 'reload') {
      this.disk.checkpoint(world.machine)
      world.machine = this.disk.load({ quotaRetiredMax: 8 })
    } else this.#use(one.is, this.held.get(`${one.member} ${one.quota}`), one.tokens)
    // Now and then somebody spends what a process had that is gone.
    for (const orphan of this.orphans)
      if (orphan.left > 0 && world.nowMs % 3 === 0) this.#use('spend', orphan, orphan.left)
  }

  #draw(wants: readonly { member: string; quota: string; tokens: number }[], again: boolean): void {
    const draws = MEMBERS.map((name) => {
      const own = Object.fromEntries(
        wants.filter((want) => want.member === name).map((want) => [want.quota, want.tokens]),
      )
      const reports: TabReport[] = []
      for (const [key, { quota: of, tab, spent, returned }] of this.held)
        if (key.startsWith(name)) reports.push({ quota: of, tab, spent, returned })
      return this.world.of(name, own, reports)
    })
    const applied = this.world.allocate(...draws)
    for (const { member: name, outcomes } of applied.drawn) {
      for (const { quota: of, tab, granted, endMs } of outcomes) {
        if (granted > 0) this.#has(`${name} ${of}`, of, tab, granted, endMs)
      }
    }
    if (again && this.world.at(this.world.nowMs, { op: INTERNAL_OP.allocate, draws }).drawn.length > 0)
      throw new Error('a draw was executed twice')
  }

  #has(key: string, of: string, tab: number, granted: number, endMs: number): void {
    const chain: string[] = []
    let name: string | null = of
    while (name !== null) {
      chain.push(name)
      name = this.world.machine.quota(name)!.spec.parent
    }
    const known = this.held.get(key)
    if (known?.tab === tab) {
      // Another parent than before, where nothing was out meanwhile.
      known.chain = chain
      known.left += granted
      known.endMs = endMs
      return
    }
    if (known !== undefined) this.orphans.push(known)
    this.held.set(key, { quota: of, tab, chain, endMs, left: granted, spent: 0, returned: 0 })
  }

  #restart(name: string): void {
    this.world.admit(name)
    for (const [key, held] of this.held) {
      if (!key.startsWith(name)) continue
      this.held.delete(key)
      this.orphans.push(held)
    }
  }

  #use(how: 'spend' | 'giveBack', held: Held | undefined, most: number): void {
    const { nowMs } = this.world
    if (held === undefined || nowMs >= held.endMs) return
    const count = Math.min(most, held.left)
    held.left -= count
    if (how === 'giveBack') held.returned += count
    else {
      held.spent += count
      this.admitted += count
      for (const name of held.chain) {
        const over = this.books.get(name)!.admit(count, nowMs)
        if (over !== null) throw new Error(`${name} admitted ${over.tokens} too many by ${nowMs}`)
      }
    }
  }
}

t.test(
  'over no window more is admitted than the burst and what flows in, through changes, ends and restarts',
  async (t) => {
    let admitted = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 40, maxLength: 200 }), (steps) => {
        const story = new Story()
        for (const name of Object.keys(WAYS)) story.world.do(set(name, WAYS[name]![0]!))
        for (const one of steps) story.play(one)
        admitted += story.admitted
      }),
      { numRuns: 250 },
    )
    t.ok(admitted > 5_000, `${admitted} tokens were admitted`)
  },
)
