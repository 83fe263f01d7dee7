/** How a server starts, refuses to start, stops, and comes back. Real processes, real directories. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { leasehold, mounted, type Outcome, scratch, serving, startLeasehold } from './process.js'

// Nearly every test here starts processes one after the other.
t.setTimeout(120_000)

const PORT = ['--listen', '127.0.0.1:0']

/** Starts a server that must not start: one clear line, exit code 1, nothing served. */
async function refused(t: Test, data: string, line: RegExp, args: readonly string[] = PORT): Promise<Outcome> {
  const outcome = await leasehold(['serve', '--data', data, ...args])
  t.equal(outcome.code, 1, `${line}`)
  t.match(outcome.err, line)
  t.match(outcome.err, /^leasehold: [^\n]+\n$/, 'in one line, without a stack')
  t.notMatch(outcome.out, /serving/)
  return outcome
}

t.test('an address that is in use, not of this machine, or unknown', async (t) => {
  const data = join(scratch(t), 'data')
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  await refused(t, data, /127\.0\.0\.1:\d+ is in use: end the process .* \(--listen\)/, [
    '--listen',
    `127.0.0.1:${port}`,
  ])
  await refused(t, data, /192\.0\.2\.1:0 is no address of this machine/, ['--listen', '192.0.2.1:0', '--insecure'])
  t.notOk(existsSync(data), 'no directory is left behind')
})

t.test('other machines are let in only when told so', async (t) => {
  const data = join(scratch(t), 'data')
  for (const listen of ['0.0.0.0:0', '[::]:0', 'example.org:0']) {
    const { code, err } = await leasehold(['serve', '--data', data, '--listen', listen])
    t.equal(code, 2, listen)
    t.match(err, /can be reached from other machines.*--insecure/)
  }
  t.notOk(existsSync(data))
})

t.test('a data directory that is in use, or of another member', async (t) => {
  const data = join(scratch(t), 'data')
  const server = await serving(t, data)
  await refused(t, data, new RegExp(`is in use by process ${server.pid}\\. Stop that process`))
  await refused(t, data, /is in use by process/)
  t.equal((await leasehold(['status', '--url', server.url])).code, 0, 'the first one is not disturbed')
  server.child.kill('SIGTERM')
  await server.done
  await refused(t, data, /belongs to member "n1"; this server is "n2"/, [...PORT, '--name', 'n2'])
})

t.test('what is not ours', async (t) => {
  const folder = scratch(t)
  const foreign = join(folder, 'foreign')
  mkdirSync(foreign)
  writeFileSync(join(foreign, 'thesis.txt'), 'years of work')
  await refused(t, foreign, /holds "thesis\.txt" and nothing of Leasehold's\. Choose/)
  t.equal(readFileSync(join(foreign, 'thesis.txt'), 'utf8'), 'years of work')
  await refused(t, join(foreign, 'thesis.txt'), /is not a directory/)

  const ours = join(folder, 'ours')
  const server = await serving(t, ours)
  server.child.kill('SIGTERM')
  await server.done
  const identity = readFileSync(join(ours, 'identity'))
  const newer = Buffer.from(identity)
  newer.writeUInt16BE(0x0909, 4 + 2 + 'leasehold'.length)
  newer.writeUInt32BE(crc32c(newer.subarray(4)))
  t.equal(crc32c(identity.subarray(4)), identity.readUInt32BE(), 'the test knows the checksum')
  writeFileSync(join(ours, 'identity'), newer)
  await refused(
    t,
    ours,
    /has format 9, .*; this one reads 2\. Start the version of Leasehold that wrote it, or a newer one/,
  )
  writeFileSync(join(ours, 'identity'), identity)
  const again = await serving(t, ours)
  t.equal((await leasehold(['status', '--url', again.url])).code, 0)
})

/** CRC-32C (Castagnoli), bit by bit: the test's own. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

t.test('a directory that cannot be written', async (t) => {
  const data = join(scratch(t), 'data')
  const server = await serving(t, data)
  server.child.kill('SIGTERM')
  await server.done
  // Not by permissions: they do not stop root.
  if (!mounted(t, '--bind', data, data)) return
  execFileSync('mount', ['-o', 'remount,ro,bind', data])
  await refused(t, data, /cannot be written .*Make the directory writable/)
})

t.test('a full disk: nothing that was acknowledged is lost', async (t) => {
  const disk = join(scratch(t), 'disk')
  mkdirSync(disk)
  if (!mounted(t, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk)) return
  const data = join(disk, 'data')
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(512 * 1024))
  // Below any watermark from the beginning: what is looked at is the write that fails.
  const server = await serving(t, data, ['--disk-low-bytes', '0'])
  const granted: number[] = []
  const meta = 'x'.repeat(1_000)
  for (let n = 0; n < 5_000 && server.child.exitCode === null; n++) {
    const answer = await acquire(server.url, `full/${n}`, { meta }).catch(() => null)
    if (answer?.status !== 200) break
    granted.push(n)
  }
  const { code, err } = await server.done
  t.equal(code, 70)
  t.match(err, /cannot go on: /)
  t.ok(granted.length > 0)
  await refused(t, data, /full.*Make room/)
  writeFileSync(ballast, '')
  const again = await serving(t, data, ['--disk-low-bytes', '0'])
  const body = (await (await fetch(`${again.url}/v1/leases?limit=1000`)).json()) as { leases: { name: string }[] }
  const names = new Set(body.leases.map((lease) => lease.name))
  t.same(
    granted.filter((n) => !names.has(`full/${n}`)),
    [],
    'after room was made, everything is there',
  )
})

function acquire(url: string, name: string, more: object = {}): Promise<Response> {
  return fetch(`${url}/v1/leases/${encodeURIComponent(name)}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ holder: 'h', ttlMs: 600_000, ...more }),
  })
}

t.test('told to stop under load: finishes what it accepted, and exits 0 within 5 s', async (t) => {
  const data = join(scratch(t), 'data')
  const server = await serving(t, data)
  const granted: string[] = []
  let stopped = false
  const worker = async (id: number) => {
    for (let n = 0; !stopped; n++) {
      const name = `load/${id}/${n}`
      const answer = await acquire(server.url, name).catch(() => null)
      if (answer === null || answer.status === 503) return
      t.equal(answer.status, 200)
      granted.push(name)
    }
  }
  t.equal((await acquire(server.url, 'waited-for')).status, 200)
  const waiter = fetch(`${server.url}/v1/leases/waited-for`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ holder: 'w', ttlMs: 60_000, waitMs: 600_000 }),
  }).catch(() => null)
  const stream = fetch(`${server.url}/v1/watch`)
    .then((answer) => answer.text())
    .catch(() => null)
  const workers = Array.from({ length: 16 }, (_, id) => worker(id))
  while (granted.length < 200) await sleep(10)
  const startedMs = performance.now()
  server.child.kill('SIGTERM')
  server.child.kill('SIGTERM')
  const outcome = await server.done
  stopped = true
  t.match(outcome, { code: 0, signal: null, err: '' })
  t.ok(performance.now() - startedMs < 5_000)
  await Promise.all([...workers, waiter, stream])

  const again = await serving(t, data)
  const names = new Set<string>()
  for (let after = ''; ; ) {
    const page = (await (await fetch(`${again.url}/v1/leases?limit=1000${after}`)).json()) as {
      leases: { name: string }[]
      next: string | null
    }
    for (const lease of page.leases) names.add(lease.name)
    if (page.next === null) break
    after = `&after=${encodeURIComponent(page.next)}`
  }
  t.same(
    granted.filter((name) => !names.has(name)),
    [],
  )
})

t.test('killed with -9 and started again: the lease, its token and its history are where they were', async (t) => {
  const data = join(scratch(t), 'data')
  const server = await serving(t, data)
  const granted = (await (await acquire(server.url, 'a/b')).json()) as { token: number }
  server.child.kill('SIGKILL')
  await server.done
  const again = await serving(t, data)
  const lease = (await (await fetch(`${again.url}/v1/leases/a%2Fb`)).json()) as { token: number; remainingMs: number }
  t.equal(lease.token, granted.token)
  t.ok(lease.remainingMs > 590_000)
  const renewed = await leasehold(['lease', 'renew', 'a/b', '--token', String(granted.token), '--url', again.url])
  t.equal(renewed.code, 0)
  t.match(await leasehold(['history', '--verify', '--url', again.url]), { code: 0, out: /^verified 1 change / })
  const next = (await (await acquire(again.url, 'a/c')).json()) as { token: number }
  t.ok(next.token > granted.token)
})

t.test('its log is JSON lines, or text when told so, as loud as told', async (t) => {
  const folder = scratch(t)
  const server = await serving(t, join(folder, 'a'), ['--listen', '0.0.0.0:0', '--insecure'], {
    LEASEHOLD_LOG_LEVEL: 'info',
  })
  server.child.kill('SIGINT')
  const { out } = await server.done
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event)
  t.same(events, ['leading', 'format in use', 'serving', 'stopping', 'stopped'])
  const text = startLeasehold(['serve', '--data', join(folder, 'b'), ...PORT, '--log-format', 'text'])
  await text.said(/^\d\d:\d\d:\d\d\.\d{3} info {2}serving {2}url=http:/m)
  text.child.kill('SIGTERM')
  t.equal((await text.done).code, 0)
})
