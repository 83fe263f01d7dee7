/** Every command that asks a server, against a real one. Those that are interrupted run as processes of their own. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { inProcess, leasehold, type Outcome, type Server, scratch, serving, startLeasehold } from './process.js'

t.setTimeout(120_000)
let server: Server
t.before(async () => {
  server = await serving(t, join(scratch(t), 'data'))
})

/** Runs a command with --json and gives its body with its exit code. */
async function json(...args: string[]): Promise<{ code: number | null; body: Record<string, unknown>; err: string }> {
  const { code, out, err } = await inProcess([...args, '--json', '--url', server.url])
  return { code, body: JSON.parse(out), err }
}
const text = (...args: string[]): Promise<Outcome> => inProcess([...args, '--url', server.url])

t.test('a lease from its grant to its release', async (t) => {
  const granted = await json('lease', 'acquire', 'a/leader', '--holder', 'h1', '--ttl', '1m', '--meta', 'http://h1')
  t.match(granted, { code: 0, body: { name: 'a/leader', holder: 'h1', ttlMs: 60_000, replayed: false } })
  const token = String(granted.body.token)

  const held = await json('lease', 'acquire', 'a/leader', '--holder', 'h2')
  t.match(held, {
    code: 1,
    body: { code: 'LEASE_HELD', holder: 'h1' },
    err: /held by h1 for another .* \(LEASE_HELD\)/,
  })

  t.match(await json('lease', 'renew', 'a/leader', '--token', token), { code: 0, body: { token: Number(token) } })
  t.match(await json('lease', 'get', 'a/leader'), { code: 0, body: { holder: 'h1', meta: 'http://h1' } })
  t.match(await text('lease', 'get', 'a/leader'), { code: 0, out: /holder +h1\n/, err: '' })
  t.match(await text('lease', 'list', '--prefix', 'a/'), { code: 0, out: /^NAME .*\na\/leader +h1 /m })

  t.match(await json('lease', 'release', 'a/leader', '--token', token), { code: 0, body: { released: true } })
  t.match(
    await text('lease', 'release', 'a/leader', '--token', token),
    { code: 0, out: 'released a/leader\n' },
    'twice is once',
  )
  t.match(await json('lease', 'renew', 'a/leader', '--token', token), {
    code: 1,
    body: { code: 'LEASE_LOST', reason: 'released' },
  })
  t.match(await json('lease', 'get', 'a/leader'), { code: 1, body: { code: 'LEASE_NOT_FOUND' } })
})

t.test('an Idempotency-Key makes an acquire safe to repeat', async (t) => {
  const first = await json('lease', 'acquire', 'i', '--key', 'k1', '--ttl', '1m')
  const again = await json('lease', 'acquire', 'i', '--key', 'k1', '--ttl', '1m')
  t.match(again, { code: 0, body: { token: first.body.token, replayed: true } })
  t.match(await json('lease', 'acquire', 'i', '--key', 'k1', '--ttl', '2m'), {
    code: 1,
    body: { code: 'IDEMPOTENCY_MISMATCH' },
  })
})

t.test('a waiter gets the lease when it is released, transferred or revoked', async (t) => {
  for (const [end, ...rest] of [['release'], ['transfer', '--to', 'h2'], ['revoke']] as const) {
    const name = `w/${end}`
    const first = await json('lease', 'acquire', name, '--holder', 'h1', '--ttl', '1m')
    const waiting = startLeasehold([
      'lease',
      'acquire',
      name,
      '--holder',
      'h2',
      '--wait',
      '1m',
      '--json',
      '--url',
      server.url,
    ])
    for (let waiters: unknown = 0; waiters !== 1; ) {
      waiters = (await json('lease', 'get', name)).body.waiters
      await sleep(20)
    }
    const token = end === 'revoke' ? [] : ['--token', String(first.body.token)]
    t.equal((await text('lease', end, name, ...token, ...rest)).code, 0, end)
    const outcome = await waiting.done
    t.equal(outcome.code, 0)
    const second = JSON.parse(outcome.out)
    t.match(second, { holder: 'h2', name })
    t.ok(second.token > Number(first.body.token), 'tokens only grow')
  }
  const nobody = await json('lease', 'acquire', 'w/transfer2', '--ttl', '1m')
  const refused = await json('lease', 'transfer', 'w/transfer2', '--token', String(nobody.body.token), '--to', 'h9')
  t.match(refused, { code: 1, body: { code: 'NO_SUCH_WAITER' } })
})

t.test('an interrupted wait leaves the queue', async (t) => {
  await json('lease', 'acquire', 'q', '--ttl', '1m')
  const waiting = startLeasehold(['lease', 'acquire', 'q', '--wait', '1m', '--url', server.url])
  const queued = async (count: number) => {
    while ((await json('lease', 'get', 'q')).body.waiters !== count) await sleep(20)
  }
  await queued(1)
  waiting.child.kill('SIGINT')
  t.equal((await waiting.done).code, 3)
  await queued(0)
})

t.test('a watch follows, and goes on from a cursor', async (t) => {
  const watching = startLeasehold([
    'lease',
    'watch',
    '--prefix',
    'watched/',
    '--json',
    '--count',
    '2',
    '--url',
    server.url,
  ])
  // A watch without a cursor begins when the server has it: tell it from later ones by what it shows.
  let known = 0
  while (watching.out() === '') {
    known += 1
    await json('lease', 'acquire', `watched/${known}`, '--ttl', '1m')
  }
  await json('lease', 'acquire', 'unwatched', '--ttl', '1m')
  await json('lease', 'acquire', 'watched/last', '--ttl', '1m')
  const { code, out } = await watching.done
  t.equal(code, 0)
  const [first, second] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(first, { event: { type: 'granted', name: /^watched\// } })
  const resumed = ['lease', 'watch', '--prefix', 'watched/', '--after', first.cursor, '--json', '--count', '1']
  t.same(JSON.parse((await text(...resumed)).out), second)

  t.match(await text('lease', 'watch', '--after', 'f00f00f00f00f00f.1'), { code: 1, err: /CURSOR_COMPACTED/ })
  const stopped = startLeasehold(['lease', 'watch', '--url', server.url, '--after', first.cursor])
  await stopped.said('watched/')
  stopped.child.kill('SIGTERM')
  t.equal((await stopped.done).code, 0, 'being told to stop is a good end of a watch')
})

t.test('the history of one lease, of all, page by page, and verified', async (t) => {
  const { body } = await json('lease', 'acquire', 'h', '--holder', 'h1', '--ttl', '1m')
  await text('lease', 'release', 'h', '--token', String(body.token))
  const all = await json('history', 'h')
  t.match(all.body.events, [
    { type: 'granted', name: 'h', holder: 'h1' },
    { type: 'released', reason: 'released' },
  ])
  t.match(await text('history', 'h'), { code: 0, out: /^AT +CHANGE .*\n.* granted +h +h1 .*\n.* released .*\n$/ })

  const page = await json('history', '--limit', '2')
  t.equal((page.body.events as unknown[]).length, 2)
  const more = await json('history', '--limit', '2', '--after', String(page.body.next))
  t.equal((more.body.events as { seq: number }[])[0]?.seq, 3)
  const lines = (await text('history', '--all', '--json')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).seq)
  t.same(
    lines,
    lines.map((_, at) => at + 1),
  )
  t.match(await text('history', '--all'), { code: 0, out: /^AT / })

  // Leases of the tests above may end meanwhile: the verified history is at least what was listed before, and at most what is listed after.
  t.match(await text('history', '--verify'), { code: 0, out: /^verified \d+ changes \(seq 1 to/ })
  const { code, body: verdict } = await json('history', '--verify')
  t.match({ code, verdict }, { code: 0, verdict: { verified: true, broken: null } })
  const after = (await text('history', '--all', '--json')).out.trim().split('\n')
  t.ok(lines.length <= Number(verdict.events) && Number(verdict.events) <= after.length, `${verdict.events} events`)
})

t.test('status', async (t) => {
  const process = await leasehold(['status', '--url', server.url])
  t.match(process, { code: 0, out: /ready +yes\n(.+\n)*format +2\n/, err: '' }, 'as a process of its own')
  t.match(await json('status'), { code: 0, body: { leader: 'n1', format: 2, members: [{ id: 'n1', voter: true }] } })
})

t.test("who asks is in the history, under the client's name", async (t) => {
  await text('lease', 'acquire', 'p', '--client', 'the-job')
  t.match((await json('history', 'p')).body.events, [{ principal: 'the-job' }])
})
