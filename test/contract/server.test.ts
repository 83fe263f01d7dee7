/** The contract, held by one real server: its own process, LevelDB, and the session's frames over WebSocket. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ServerProcess } from '../support/serverprocess.js'
import { leaseContract } from './leases.js'
import { WireWorld } from './wire.js'

async function open(): Promise<WireWorld> {
  const dataPath = await mkdtemp(join(tmpdir(), 'leasehold-contract-'))
  const server = await ServerProcess.start({ dataPath })
  return WireWorld.open([server.url], async () => {
    await server.end('SIGTERM')
    await rm(dataPath, { recursive: true, force: true })
  })
}

t.test('one real server keeps the contract of leases', async (t) => {
  await leaseContract(t, open, 32)
})
