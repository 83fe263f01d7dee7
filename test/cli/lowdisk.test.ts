/** Three real servers on one small disk that fills up: what grows is refused, the rest goes on, nobody ends. */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { TestCluster } from './cluster.js'
import { mounted } from './process.js'

t.setTimeout(120_000)

const MIB = 1_048_576
const LOW_BYTES = 16 * MIB
/** Room is enough again with 64 MiB more than that. */
const DISK_BYTES = 128 * MIB
const NAMES = ['n1', 'n2', 'n3'] as const
const META = 'x'.repeat(1_000)

interface Answer {
  readonly status: number
  readonly body: { readonly token?: number; readonly code?: string; readonly detail?: string }
}

async function ask(url: string, method: 'PUT' | 'POST', path: string, body: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/v1/leases/${path}`, { method, headers, body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}

/** Asks again until the answer is the one that is waited for: members look at their disks once a second. */
async function until(holds: (answer: Answer) => boolean, again: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await again()
    if (holds(answer)) return answer
    await sleep(50)
  }
}

const isLow = ({ body }: Answer) => body.code === 'OVERLOADED' && body.detail?.includes('nearly full') === true
const isDone = ({ status }: Answer) => status === 200

t.test('a disk that fills up under a whole cluster', async (t) => {
  const cluster = new TestCluster(t, ['--disk-low-bytes', `${LOW_BYTES}`])
  if (!mounted(t, '-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', cluster.folder)) return
  await cluster.plan(...NAMES)
  for (const name of NAMES) cluster.start(name)
  const leader = await cluster.settled(...NAMES)
  const acquire = (name: string, lease: string) =>
    ask(cluster.url(name), 'PUT', lease, { holder: 'h', ttlMs: 600_000, meta: META })
  const kept = await until(isDone, () => acquire(leader, 'kept'))
  const ballast = join(cluster.folder, 'ballast')
  const { bavail, bsize } = statfsSync(cluster.folder)
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - LOW_BYTES / 2))
  for (const name of NAMES) await until(isLow, () => acquire(name, 'no'))
  for (const name of NAMES) await cluster.running.get(name)!.said('"event":"disk nearly full"')
  for (let n = 0; n < 30; n++) {
    const name = NAMES[n % 3]!
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => acquire(name, `no-${n}-${i}`)))
    if (answers.some(({ status }) => status !== 503)) t.fail(`${name} says ${answers.map(({ status }) => status)}`)
  }
  for (const name of NAMES) {
    await until(isDone, () => ask(cluster.url(name), 'POST', 'kept/renew', { token: kept.body.token }))
    t.equal((await fetch(`${cluster.url(name)}/readyz`)).status, 503, `${name} is not ready`)
    t.equal(cluster.running.get(name)!.child.exitCode, null, `${name} runs`)
  }
  await until(isDone, () => ask(cluster.url(NAMES[0]), 'POST', 'kept/release', { token: kept.body.token }))
  rmSync(ballast)
  for (const name of NAMES) await until(isDone, () => acquire(name, `of-${name}`))
  for (const name of NAMES) t.equal(cluster.running.get(name)!.child.exitCode, null, `${name} runs`)
})
