import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { closedLoop } from '#bench/driver.js'
import { PEERS } from '#bench/peers/index.js'
import { fieldOf, message } from '#bench/peers/protobuf.js'

// Three processes of each service start here, Java among them.
t.setTimeout(180_000)

t.test('fields of a message come back as they went', async () => {
  const value = fc.oneof(fc.nat(Number.MAX_SAFE_INTEGER), fc.uint8Array({ maxLength: 300 }))
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
      const bytes = message(...values.map((one, i) => [i + 1, one] as const))
      for (const [i, one] of values.entries()) {
        const back = fieldOf(bytes, i + 1)
        const same = typeof one === 'number' ? back === BigInt(one) : Buffer.compare(back as Uint8Array, one) === 0
        if (!same) throw new Error(`field ${i + 1}: ${back}`)
      }
      if (fieldOf(bytes, values.length + 1) !== undefined) throw new Error('a field too many')
    }),
  )
})

t.test('half a message is refused', async (t) => {
  const bytes = message([1, 'abc'], [2, 300])
  t.throws(() => fieldOf(bytes.subarray(0, 3), 2))
  t.throws(() => fieldOf(bytes.subarray(0, -1), 2))
})

for (const peer of PEERS) {
  t.test(`${peer.name} does the same work, and leaves nothing behind`, { skip: peer.missing() ?? false }, async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'leasehold-peers-'))
    t.teardown(() => rm(parent, { recursive: true, force: true }))
    const cluster = await peer.start(parent, 2)
    try {
      const cycles = await closedLoop({ unit: cluster.cycles('test'), inFlight: 8, seconds: 0.3 })
      t.ok(cycles.units > 0 && cycles.failed === 0, `${cycles.units} cycles, ${cycles.failed} failed`)
      const unit = await cluster.renewals(8)
      if (unit !== null) {
        const renewals = await closedLoop({ unit, inFlight: 8, seconds: 0.3 })
        t.ok(renewals.units > 0 && renewals.failed === 0, `${renewals.units} renewals, ${renewals.failed} failed`)
      }
    } finally {
      await cluster.close()
    }
    t.same(await readdir(parent), [])
  })
}
