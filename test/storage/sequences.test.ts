/** The same claims on a disk in RAM and on the real one: whatever was flushed comes back, and nothing else. */

import { join } from 'node:path'
import { LevelDisk } from '@leasehold/server/cli'
import type { Disk } from '@leasehold/server/ports'
import { MemoryDisk } from '@leasehold/server/storage'
import fc from 'fast-check'
import t from 'tap'
import { Member } from './member.js'
import { formed } from './support.js'

type Step =
  | { readonly do: 'append' | 'work'; readonly entries: number; readonly commands: number }
  | { readonly do: 'replace' | 'apply'; readonly count: number }
  | { readonly do: 'vote' | 'checkpoint' | 'trimLog' | 'trimAudit' | 'flush' | 'restart' }

const small = fc.integer({ min: 1, max: 4 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('append', 'work', 'work'), entries: small, commands: small }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('apply', 'apply', 'replace'), count: small }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('flush', 'checkpoint', 'checkpoint') }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('vote', 'trimLog', 'trimAudit', 'restart', 'restart') }) },
)

async function run(disk: Disk, steps: readonly Step[]): Promise<void> {
  const member = new Member(await formed(disk))
  await member.open()
  try {
    for (const step of steps) {
      let wrong: string | null = null
      if (step.do === 'append') member.append(step.entries, step.commands)
      else if (step.do === 'work') await member.work(step.entries, step.commands)
      else if (step.do === 'apply') member.apply(step.count)
      else if (step.do === 'replace') member.replace(step.count)
      else if (step.do === 'restart') wrong = await member.restart()
      else await member[step.do]()
      if (wrong !== null) throw new Error(wrong)
    }
    // Twice: in between, all that was durable is applied again, and has to meet the audit that is stored.
    for (let end = 1; end <= 2; end += 1) {
      const wrong = await member.restart()
      if (wrong !== null) throw new Error(wrong)
      member.apply(member.log.length)
      await member.flush()
    }
  } finally {
    await member.store.close()
  }
}

const steps = fc.array(step, { minLength: 10, maxLength: 100 })

t.test('an entry that was applied is not replaced, nor after a restart that has to apply it again', async (t) => {
  const member = new Member(await formed(new MemoryDisk()))
  await member.open()
  await member.work(2, 1)
  await member.flush()
  member.vote()
  t.equal(await member.restart(), null)
  const applied = member.log.slice()
  member.replace(2)
  t.same(member.log, applied)
  member.append(2, 1)
  member.replace(9)
  t.same(member.log.slice(0, 2), applied)
  t.equal(member.log.length, 3)
  await member.flush()
  t.equal(await member.restart(), null)
  await member.store.close()
})

t.test('any sequence of flushes and restarts brings back what was flushed: in RAM', async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, (steps) => run(new MemoryDisk(), steps)),
    { numRuns: 200 },
  )
  t.pass()
})

t.test('any sequence of flushes and restarts brings back what was flushed: on LevelDB', async (t) => {
  let number = 0
  const root = t.testdir({})
  const property = fc.asyncProperty(steps, (steps) => {
    number += 1
    return run(new LevelDisk(join(root, `${number}`)), steps)
  })
  await fc.assert(property, { numRuns: 12 })
  t.pass()
})
