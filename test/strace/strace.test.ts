/**
 * A killed process loses nothing that the kernel holds, so a kill test cannot see a missing sync. This one can: it looks at
 * the system calls of a real server. Needs strace (scripts/install-test-tools.sh).
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OK, OP } from '@leasehold/protocol'
import t from 'tap'
import { RawSession } from '../support/rawsession.js'
import { MAIN, ServerProcess } from '../support/serverprocess.js'
import { judgeTrace, type Verdict } from './trace.js'

const CONNECTIONS = 6
const TURNS = 12
/** The upgrade and the greeting. */
const GREETINGS = 2
const CALLS = 'trace=read,write,writev,sendmsg,fdatasync,fsync'
const plant = (name: string): string => fileURLToPath(new URL(`../../strace/${name}.mjs`, import.meta.url))

const works = spawnSync('strace', ['-e', 'trace=none', 'true']).status === 0
const skip = works ? false : 'strace does not work here: nothing watches the syncs (scripts/install-test-tools.sh)'

/** Runs a server under strace, with one request under way on each of some connections, and judges its system calls. */
async function traced(program: readonly string[]): Promise<Verdict> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-strace-'))
  const trace = join(folder, 'trace')
  const dataPath = join(folder, 'data')
  try {
    const under = ['strace', '-f', '-yy', '-s', '0', '-e', CALLS, '-o', trace]
    const server = await ServerProcess.start({ dataPath, under, program })
    try {
      await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => live(server.url, i)))
    } finally {
      await server.end('SIGKILL')
    }
    const lines = (await readFile(trace, 'latin1')).split('\n')
    return judgeTrace(lines, { syncedUnder: dataPath, greetings: GREETINGS })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Acquires, renews and releases, one request at a time. */
async function live(url: string, number: number): Promise<void> {
  const session = await RawSession.connect(url, `client-${number}`, String(number).padStart(32, '0'))
  for (let turn = 1; turn <= TURNS; turn++) {
    const name = `strace/${number}`
    const grant = await session.send(OP.acquire, [turn, turn, 0, name, 'holder', 60_000, 0, 0, 0, null]).last
    if (grant.code !== OK) throw new Error(`acquire: ${JSON.stringify(grant)}`)
    const token = grant.fields[0]
    await session.send(OP.renew, [name, token]).last
    await session.send(OP.release, [name, token]).last
  }
  session.terminate()
}

t.test('every reply follows a sync that began after its request', { skip }, async (t) => {
  const { replies, syncs, violations } = await traced([MAIN])
  t.equal(replies, CONNECTIONS * TURNS * 3, 'all replies were seen')
  t.ok(syncs > TURNS)
  t.same(violations, [])
})

for (const [planted, name] of [
  ['writes without a sync', 'nosync'],
  ['does not wait for its syncs', 'nowait'],
] as const) {
  t.test(`caught: a server that ${planted}`, { skip }, async (t) => {
    const { replies, violations } = await traced(['--import', plant(name), MAIN])
    t.equal(replies, CONNECTIONS * TURNS * 3)
    t.ok(violations.length > 0, `${violations.length} of ${replies} replies without a sync of their own`)
  })
}
