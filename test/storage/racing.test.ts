/**
 * A snapshot is received while the member goes on voting and appending, on a disk whose steps take as long as a seed says, and a crash comes at
 * any moment: no vote that was acknowledged is lost, and the state is the old one or the new one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { logIndex } from '@leasehold/protocol'
import { MemoryDisk } from '@leasehold/server/storage'
import t from 'tap'
import { chunksOf, Peer, same, source } from './copies.js'
import { seeded } from './damage.js'
import { entryOf, PlainTable } from './support.js'

const SEEDS = 40

async function handedOver() {
  const from = await source(new MemoryDisk())
  for (let row = 0; row < 800; row += 1) from.table.set(`many-${row}`, `${row}`)
  await from.live(81, 82, 2, true)
  const [chunks, rows, events] = [await chunksOf(from.store), from.table.content(), (await from.seen()).events]
  await from.store.close()
  return { chunks, rows, events }
}

/** Votes, one flush after the other, each in a later term, and an entry now and then; returns the last term that was acknowledged. */
async function voting(
  peer: Peer,
  random: () => number,
  stopped: () => boolean,
  acked: { term: number },
): Promise<void> {
  for (let of = 10; !stopped(); of += 1) {
    if (peer.store.flushing) {
      await turn()
      continue
    }
    peer.store.stageHardState({ term: of as never, votedFor: `n${of % 3}` })
    if (random() < 0.3) {
      const { lastIndex } = peer.store.recovered
      // The first entry after what opening, or the snapshot, found: replaced again and again.
      peer.store.stageEntries([entryOf(lastIndex + 1, { term: of })])
    }
    const flushed = await Promise.race([
      new Promise<boolean>((resolve) => peer.store.flush(() => resolve(true))),
      (async () => {
        while (!stopped()) await turn()
        return false
      })(),
    ])
    if (flushed) acked.term = of
  }
}

t.test(
  'votes go on while a snapshot is received, and a crash at any moment leaves all that was acknowledged',
  async (t) => {
    const { chunks, rows, events } = await handedOver()
    const met = { old: 0, fresh: 0, installed: 0 }
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = seeded(seed)
      const disk = new MemoryDisk()
      const peer = await Peer.formed(disk, 'n2')
      await peer.vote(1, 'n2')
      await peer.live(1, 10, 1, true)
      await peer.vote(3, 'n1')
      await peer.store.close()
      await peer.open()
      const old = await peer.seen()
      disk.before = async () => {
        for (let left = Math.floor(random() * 4); left > 0; left -= 1) await turn()
      }
      let crashed = false
      let installed = false
      const acked = { term: 3 }
      const votes = voting(peer, random, () => crashed, acked)
      const receiving = (async () => {
        const incoming = peer.store.receiveSnapshot()
        for (const chunk of chunks) await incoming.add(chunk)
        await incoming.install([new PlainTable('rows')])
        installed = true
      })().catch(() => {})
      for (let turns = Math.floor(random() * 24); turns > 0; turns -= 1) await turn()
      crashed = true
      disk.crash({ cameAbout: () => random() < 0.5, kept: () => random() < 0.5 })
      disk.before = () => {}
      await Promise.all([votes, receiving, peer.store.close()])
      const again = new Peer(disk, 'n2')
      await again.open()
      const { recovered } = again.store
      t.ok(recovered.hardState.term >= acked.term, `seed ${seed}: the vote of term ${acked.term} stands`)
      const found = await again.seen()
      const fresh = recovered.checkpointIndex === logIndex(82)
      if (fresh) {
        t.ok(same([found.rows, found.events], [rows, events]), `seed ${seed}: the new state is whole`)
        met.fresh += 1
      } else {
        t.ok(same([found.rows, found.events], [old.rows, old.events]), `seed ${seed}: the old state is whole`)
        met.old += 1
      }
      if (installed) t.ok(fresh, `seed ${seed}: what was installed stays`)
      if (installed) met.installed += 1
      await again.store.close()
    }
    t.comment(JSON.stringify(met))
    t.ok(met.old >= 3 && met.fresh >= 3 && met.installed >= 3, JSON.stringify(met))
  },
)
