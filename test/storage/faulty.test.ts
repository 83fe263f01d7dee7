/**
 * Lives on a disk that crashes, fails, fills up and loses what was not synced, as a seed decides: whatever was acknowledged is there at the next
 * start, and what was in flight is there as a whole or not at all.
 */
import { type DiskStep, diskError, MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { seeded } from './damage.js'
import { judged, Member } from './member.js'
import { formed } from './support.js'

const SEEDS = 15
const ROUNDS = 12

type Fault = 'crash' | 'EIO' | 'ENOSPC'

/** A disk on which one step, counted from now, meets a fault. */
class Faulty {
  readonly disk = new MemoryDisk()
  readonly met: Record<Fault, number> = { crash: 0, EIO: 0, ENOSPC: 0 }
  readonly #random: () => number
  #fuse = 0
  #fault: Fault = 'crash'

  constructor(random: () => number) {
    this.#random = random
    this.disk.before = (step) => this.#before(step)
  }

  arm(): void {
    this.#fuse = 1 + Math.floor(this.#random() * 30)
    this.#fault = (['crash', 'crash', 'EIO', 'ENOSPC'] as const)[Math.floor(this.#random() * 4)]!
  }

  disarm(): void {
    this.#fuse = 0
  }

  #before(_: DiskStep): void | Promise<void> {
    if (this.#fuse === 0) return
    this.#fuse -= 1
    if (this.#fuse > 0) return
    this.met[this.#fault] += 1
    if (this.#fault !== 'crash') throw diskError(this.#fault)
    // The step hangs until the crash, a few turns later.
    setImmediate(() => this.crash())
    return new Promise(() => {})
  }

  crash(): void {
    this.disk.crash({ cameAbout: () => this.#random() < 0.5, kept: () => this.#random() < 0.5 })
  }
}

/** Ends where the disk does: a failed write rejects the flush that waits for it. */
async function live(member: Member, random: () => number): Promise<void> {
  const pick = (below: number): number => Math.floor(random() * below)
  for (;;) {
    const what = pick(9)
    if (what <= 2) await member.work(1 + pick(3), 1 + pick(3))
    else if (what === 3) member.append(1 + pick(2), 1)
    else if (what === 4) member.vote()
    else if (what === 5) member.replace(1 + pick(2))
    else if (what === 6) member.checkpoint()
    else if (what === 7) (pick(2) === 0 ? member.trimLog : member.trimAudit).call(member)
    else await member.flush()
  }
}

t.test('acknowledged is durable, in flight is whole or gone, whatever the disk does', async (t) => {
  const met = { crash: 0, EIO: 0, ENOSPC: 0 }
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = seeded(seed)
    const faulty = new Faulty(random)
    await formed(faulty.disk)
    const member = new Member(faulty.disk)
    await member.open()
    for (let round = 1; round <= ROUNDS; round += 1) {
      faulty.arm()
      await t.rejects(live(member, random))
      faulty.disarm()
      faulty.crash()
      await member.store.close()
      const moments = member.inFlight === null ? [member.durable] : [member.durable, member.inFlight]
      const found = await settled(faulty.disk, moments)
      if (typeof found === 'string') throw new Error(`seed ${seed}, round ${round}: ${found}`)
      member.durable = found
      member.inFlight = null
      const wrong = await member.restart()
      if (wrong !== null) throw new Error(`seed ${seed}, round ${round}: ${wrong}`)
    }
    await member.store.close()
    for (const fault of ['crash', 'EIO', 'ENOSPC'] as const) met[fault] += faulty.met[fault]
  }
  t.comment(JSON.stringify(met))
  for (const count of Object.values(met)) t.ok(count > SEEDS, 'each kind of fault was met')
})

/** Which of the moments the disk holds, or what is wrong with it. */
async function settled<Moment extends Member['durable']>(disk: MemoryDisk, moments: readonly Moment[]) {
  const wrong: (string | null)[] = []
  for (const moment of moments) {
    const found = await judged(() => disk.copy({ unsynced: 'kept' }), [moment])
    if (found === null) return moment
    wrong.push(found)
  }
  return wrong.join('; ')
}
