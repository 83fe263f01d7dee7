import type { Reply } from '@leasehold/protocol'
import { type Applied, type Entry, Machine, type MachineLimits } from '@leasehold/server/machine'
import fc from 'fast-check'
import t from 'tap'
import { Disk } from './disk.js'
import { reloaded } from './driver.js'
import { Judge, must } from './judge.js'
import { Model, withoutDetail } from './model.js'
import { FORMAT_MAX, life, limits, Scenario, type Step } from './scenario.js'

const RUNS = 3_000

/** One machine beside its model, its judge and its disk. */
class Trial {
  readonly #limits: MachineLimits
  readonly #model: Model
  readonly #scenario: Scenario
  readonly #judge = new Judge()
  readonly #disk = new Disk()
  #machine: Machine
  /** Entries since the last checkpoint, with what they brought. */
  #log: [Entry, Applied][] = []

  constructor(all: MachineLimits) {
    this.#limits = all
    this.#machine = new Machine(all, FORMAT_MAX)
    this.#model = new Model(all)
    this.#scenario = new Scenario(this.#model)
  }

  take(step: Step): void {
    if (step.is === 'entry') this.#apply(this.#scenario.entry(step))
    else if (step.is === 'reload') {
      // what storage knows of the rows stays true
      this.#checkpoint()
      this.#machine = reloaded(this.#machine, this.#limits, FORMAT_MAX)
      this.#machine = this.#disk.load(this.#limits, FORMAT_MAX)
    } else if (step.is === 'checkpoint') this.#checkpoint()
    else {
      this.#machine = this.#disk.load(this.#limits, FORMAT_MAX)
      for (const [entry, before] of this.#log) same(this.#machine.apply(entry), before, 'a replay brings the same')
    }
    this.#views()
  }

  #checkpoint(): void {
    this.#disk.checkpoint(this.#machine)
    this.#log = []
  }

  #apply(entry: Entry): void {
    const expected = this.#model.apply(entry)
    const applied = this.#machine.apply(entry)
    this.#log.push([entry, applied])
    same(bare(applied), bare(expected), 'the machine does what the model does')
    this.#judge.check(entry, applied, this.#machine.horizonMs)
  }

  #views(): void {
    const machine = this.#machine
    const model = this.#model
    for (const name of ['a', 'a/b', 'b', 'c']) same(machine.lease(name), model.view(name), `the view of ${name}`)
    for (const query of [
      { prefix: '', after: null, limit: 2 },
      { prefix: 'a', after: 'a', limit: 10 },
    ]) {
      same(machine.list(query), model.list(query), 'a listing')
    }
    same(
      [machine.timeMs, machine.horizonMs, machine.timed, machine.waiterCount, machine.leaseCount, machine.audit],
      [model.timeMs, model.horizonMs, model.timed, model.waiting.length, model.grants.length, model.audit],
      'the counts',
    )
    same(
      [machine.members, machine.configuration, machine.format],
      [model.members(), model.configuration, model.format],
      'the cluster',
    )
    must(this.#judge.waiters === machine.waiterCount, 'every waiter is still to be settled')
  }
}

const bare = (applied: Applied) => ({
  ...applied,
  replies: applied.replies.map(withoutDetail),
  settled: applied.settled.map(({ waiter, reply }): { waiter: number; reply: Reply } => ({
    waiter,
    reply: withoutDetail(reply),
  })),
})

function same(found: unknown, wanted: unknown, claim: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`broken: ${claim}\n  found  ${a}\n  wanted ${b}`)
}

t.test('the machine is its naive model, through reloads and replays', async (t) => {
  fc.assert(
    fc.property(limits, life, (all, steps) => {
      const trial = new Trial(all)
      for (const one of steps) trial.take(one)
    }),
    { numRuns: RUNS },
  )
  t.pass(`${RUNS} lives`)
})
