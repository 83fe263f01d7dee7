/** What a start finds damaged, and can do without, is told in the log. */
import { join } from 'node:path'
import { LevelDisk, startServer } from '@leasehold/server/cli'
import { ServerTelemetry } from '@leasehold/server/http'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { scratch } from './process.js'

/** First bytes of the keys of log entries and of audit segments, under the live prefix of a new directory. */
const ENTRIES = [1, 0x65] as const
const SEGMENTS = [1, 0x61] as const

async function start(t: Test, dataPath: string) {
  const events: Record<string, unknown>[] = []
  const write = (line: string) => void events.push(JSON.parse(line))
  const formatters = { level: (level: string) => ({ level }) }
  const server = await startServer({
    memberId: 'n1',
    dataPath,
    address: { host: '127.0.0.1', port: 0 },
    version: '0',
    telemetry: new ServerTelemetry(pino({ base: null, timestamp: false, formatters }, { write })),
    fatal: (error) => {
      throw error
    },
  })
  t.teardown(() => server.close())
  return { ...server, warnings: () => events.filter(({ level }) => level === 'warn') }
}

/** Damages the first row of a kind. */
async function damage(dataPath: string, [live, kind]: readonly [number, number]): Promise<void> {
  const volume = await new LevelDisk(dataPath).openVolume({ create: false })
  const batch = volume.batch()
  for await (const rows of volume.scan({ from: Buffer.from([live, kind]), to: Buffer.from([live, kind + 1]) })) {
    const [key, value] = rows[0]!
    const damaged = Uint8Array.from(value)
    damaged[damaged.length - 1]! ^= 0xff
    batch.put(key, damaged)
    break
  }
  await batch.commit()
  await volume.close()
}

t.test('damage that takes nothing away that is needed is a warning at the start', async (t) => {
  const data = join(scratch(t), 'data')
  const first = await start(t, data)
  for (const name of ['a', 'b', 'c']) {
    const answer = await fetch(`${first.url}/v1/leases/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ holder: 'h' }),
    })
    t.equal(answer.status, 200)
  }
  await first.close()
  t.same(first.warnings(), [], 'an undamaged directory has none')
  await damage(data, ENTRIES)
  await damage(data, SEGMENTS)
  const again = await start(t, data)
  await again.close()
  t.match(again.warnings(), [
    { level: 'warn', event: 'damage found', notice: /^Log entries up to \d+, below the checkpoint, are damaged/ },
    { level: 'warn', event: 'damage found', notice: 'The audit events 1 to 1 are damaged.' },
  ])
  t.equal(again.warnings().length, 2)
})
