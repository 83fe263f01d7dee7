import { Readable } from 'node:stream'
import { createHttp } from '@leasehold/server/http'
import { StorageRefusal } from '@leasehold/server/storage'
import t from 'tap'
import { Remembered, realClock, realRandom } from '../support/real.js'
import { until } from '../support/until.js'
import { FakeReplica } from './fake.js'

t.test('a backup that damage breaks off is cut off for who asked, told in the log, and stops no other', async (t) => {
  const telemetry = new Remembered()
  const pieces = async function* () {
    yield Buffer.from('LHBACKUP')
    throw new StorageRefusal('DAMAGED', 'A segment of the audit fails its checksum.')
  }
  const app = await createHttp({
    ...{ replica: new FakeReplica(), clock: realClock, random: realRandom, telemetry, info: { version: '0' } },
    backup: async () => Readable.from(pieces(), { objectMode: false }),
  })
  t.teardown(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const times of [1, 2]) {
    await t.rejects(fetch(`${url}/v1/cluster/backup`).then((response) => response.arrayBuffer()))
    const told = () => telemetry.logs.filter(({ event }) => event === 'backup broken off')
    await until(() => told().length === times)
    t.match(told().at(-1), { level: 'error', fields: { reason: /fails its checksum/ } })
  }
})
