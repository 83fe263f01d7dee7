/** `leasehold run`: a lease around a command. Real processes; thresholds are judged by order, not by the clock. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { leasehold, type Server, scratch, serving, startLeasehold } from './process.js'

let server: Server
t.setTimeout(120_000)
// Mostly they wait: for a ttl to pass, for a process to start.
t.jobs = 4
t.before(async () => {
  server = await serving(t, join(scratch(t), 'data'))
})

const run = (name: string, flags: string[], ...cmd: string[]) =>
  startLeasehold(['run', name, '--url', server.url, ...flags, '--', ...cmd])

async function lease(name: string): Promise<{ token: number; holder: string; waiters: number } | null> {
  const answer = await fetch(`${server.url}/v1/leases/${name}`)
  return answer.status === 200 ? ((await answer.json()) as { token: number; holder: string; waiters: number }) : null
}

async function clusterMs(): Promise<number> {
  return ((await (await fetch(`${server.url}/v1/cluster`)).json()) as { clusterMs: number }).clusterMs
}

async function events(name: string): Promise<{ type: string; renewals: number; reason: string }[]> {
  const answer = await fetch(`${server.url}/v1/leases/${name}/history`)
  return ((await answer.json()) as { events: { type: string; renewals: number; reason: string }[] }).events
}

/** Processes of the group with this leader that are not merely waiting to be buried. */
function alive(pid: number): string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => {
    const [group, state = ''] = line.trim().split(/ +/)
    return Number(group) === pid && !state.startsWith('Z')
  })
}

t.test('the command finds the token, its exit code is kept, and the lease is released', async (t) => {
  const script = 'echo "$LEASEHOLD_NAME $LEASEHOLD_TOKEN $LEASEHOLD_HOLDER $LEASEHOLD_URL $1"; exit 7'
  const { code, out, err } = await run('env', ['--holder', 'me'], 'sh', '-c', script, 'sh', '--ttl').done
  t.equal(code, 7)
  t.match(out, new RegExp(`^env [0-9]+ me ${server.url} --ttl\n$`))
  t.equal(err, '')
  t.match(await events('env'), [{ type: 'granted' }, { type: 'released' }])

  t.equal((await run('env', [], 'sh', '-c', 'kill -KILL $$').done).code, 137, '128 + the signal')
  t.match(await run('env', [], 'no-such-command-here').done, { code: 127, err: /no-such-command-here/ })
  t.match(await run('env', [], '/etc/passwd').done, { code: 126, err: /EACCES/ })
  t.equal(await lease('env'), null)
  const usage = await run('env', []).done
  t.match(usage, { code: 2, err: /-- CMD: the command to run is missing/ })
})

t.test('75 when it is not acquired: held, waited in vain, told to stop, or nobody answers', async (t) => {
  const holder = run('held', [], 'sleep', '600')
  while ((await lease('held')) === null) await sleep(20)
  t.match(await run('held', [], 'true').done, { code: 75, err: /held not acquired: held is held by / })
  t.equal((await run('held', ['--wait', '200ms'], 'true').done).code, 75)
  const waiting = run('held', ['--wait', '1h'], 'true')
  while ((await lease('held'))?.waiters !== 1) await sleep(20)
  waiting.child.kill('SIGTERM')
  t.match(await waiting.done, { code: 75, err: /interrupted by SIGTERM/ })
  while ((await lease('held'))?.waiters !== 0) await sleep(20)

  const next = run('held', ['--wait', '1h'], 'echo', 'my turn')
  while ((await lease('held'))?.waiters !== 1) await sleep(20)
  holder.child.kill('SIGTERM')
  t.equal((await holder.done).code, 143, 'a signal is passed on, and the command ends of it')
  t.match(await next.done, { code: 0, out: 'my turn\n' })
})

t.test('it renews while the command lives, and passes signals on', async (t) => {
  const script = "trap 'echo got USR1; exit 5' USR1; echo ready; while :; do sleep 0.05; done"
  const ttlMs = 3_000
  const running = run('long', ['--ttl', `${ttlMs}ms`], 'sh', '-c', script)
  await running.said('ready')
  const first = await lease('long')
  const seenMs = await clusterMs()
  // By the cluster's clock: it alone ends leases, and it may lag where the machine is busy.
  while ((await clusterMs()) < seenMs + 3 * ttlMs) await sleep(100)
  t.equal((await lease('long'))?.token, first?.token, 'the same grant, three ttls later')
  running.child.kill('SIGUSR1')
  t.match(await running.done, { code: 5, out: 'ready\ngot USR1\n' })
  t.ok(((await events('long')).at(-1)?.renewals ?? 0) >= 3)
})

t.test('what the command leaves behind in its group ends before the lease does', async (t) => {
  const running = run('rest', [], 'sh', '-c', 'echo $$; sleep 600 & exit 0')
  const [, pid] = await running.said(/^(\d+)\n/)
  t.equal((await running.done).code, 0)
  t.same(alive(Number(pid)), [])
  t.equal(await lease('rest'), null)
})

t.test('76 when the lease is revoked: the whole group is killed at once', async (t) => {
  const running = run('revoked', ['--ttl', '1h'], 'sh', '-c', "trap '' TERM; echo $$; sleep 600 & sleep 600")
  const [, pid] = await running.said(/^(\d+)\n/)
  t.not(alive(Number(pid)).length, 0)
  t.equal((await leasehold(['lease', 'revoke', 'revoked', '--url', server.url])).code, 0)
  t.match(await running.done, { code: 76, err: /revoked is lost \(revoked\): killed the command/ })
  t.same(alive(Number(pid)), [])
})

/** A command that renewals are taken away from, by stopping the server. */
async function unrenewed(t: Test, script: string) {
  const own = await serving(t, join(scratch(t), 'data'))
  const running = startLeasehold(['run', 'x', '--ttl', '6s', '--url', own.url, '--', 'sh', '-c', script])
  await running.said('ready')
  own.child.kill('SIGSTOP')
  const outcome = await running.done
  own.child.kill('SIGCONT')
  return { outcome }
}

t.test('76 when renewals fail: told with TERM first, and what obeys is not killed', async (t) => {
  const note = join(scratch(t), 'note')
  const script = `trap 'echo tidy > ${note}; exit 0' TERM; echo ready; while :; do sleep 0.05; done`
  const { outcome } = await unrenewed(t, script)
  t.equal(outcome.code, 76)
  t.match(outcome.err, /leasehold: x could not be renewed, \d+ ms left: told the command to end \(TERM\)\n/)
  t.notMatch(outcome.err, /killed/)
  t.equal(readFileSync(note, 'utf8'), 'tidy\n')
})

t.test('what does not obey is killed, all of its group, before the lease ends', async (t) => {
  const note = join(scratch(t), 'note')
  const script = `trap '' TERM; echo ready $$; (sleep 30; echo late > ${note}) & sleep 30; echo late > ${note}`
  const { outcome } = await unrenewed(t, script)
  t.equal(outcome.code, 76)
  t.match(
    outcome.err,
    /told the command to end \(TERM\)\n(?:.*\n)*leasehold: x could not be renewed, \d+ ms left: killed the command\n$/,
  )
  t.same(alive(Number(/ready (\d+)/.exec(outcome.out)?.[1])), [])
  t.notOk(existsSync(note))
})
