/**
 * Flipped bytes under a real server, each damaged directory started twice: either it serves exactly what was acknowledged, or it
 * refuses with one line and exit code 1, and does the same the second time. (Thousands of damages without a process: test/storage.)
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { copyDirectory, type Damage, damagedCopy, describeDamage, flips } from '../storage/damage.js'
import { compact } from '../storage/pristine.js'
import { type Outcome, type Server, startLeasehold } from './process.js'

const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_122)
const EACH = 12
const LEASES = 400
/** Two processes start at a time. */
const AT_ONCE = 2

interface Lease {
  readonly name: string
  readonly token: number
  readonly meta: string
}
interface Content {
  readonly leases: readonly Lease[]
  /** Hashes of all events: each stands for everything before it. */
  readonly hashes: readonly string[]
}

const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'leasehold-cli-damage-'))
t.setTimeout(240_000)
t.teardown(() => rmSync(root, { recursive: true, force: true }))

/** Starts a server; its outcome where it refuses. */
async function start(data: string): Promise<Server | Outcome> {
  const started = startLeasehold(['serve', '--data', data, '--listen', '127.0.0.1:0', '--log-level', 'info'])
  try {
    const [, url = ''] = await started.said(/"event":"serving","url":"([^"]+)"/)
    return { ...started, url, data }
  } catch {
    return started.done
  }
}

async function stop(server: Server, signal: NodeJS.Signals): Promise<void> {
  server.child.kill(signal)
  await server.done
}

async function page<T>(url: string, path: string, key: string): Promise<T[]> {
  const found: T[] = []
  for (let after = ''; ; ) {
    const answer = await fetch(`${url}${path}?limit=1000${after}`)
    const body = (await answer.json()) as Record<string, unknown> & { code?: string; next: string | null }
    if (answer.status !== 200) throw new Error(body.code)
    found.push(...(body[key] as T[]))
    if (body.next === null) return found
    after = `&after=${encodeURIComponent(body.next)}`
  }
}

async function content(url: string): Promise<Content> {
  const leases = await page<Lease>(url, '/v1/leases', 'leases')
  const events = await page<{ hash: string }>(url, '/v1/history', 'events')
  return {
    leases: leases.map(({ name, token, meta }) => ({ name, token, meta })),
    hashes: events.map(({ hash }) => hash),
  }
}

/** A directory of half a MiB that no compression shrinks, left by a server that was killed; and what it had acknowledged. */
async function written(data: string): Promise<Content> {
  const server = (await start(data)) as Server
  const put = async (n: number) => {
    const name = `damage/${n}`
    const meta = randomBytes(768).toString('base64')
    const answer = await fetch(`${server.url}/v1/leases/${encodeURIComponent(name)}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ holder: `holder-${n}`, ttlMs: 3_600_000, meta }),
    })
    if (answer.status !== 200) throw new Error(`not granted: ${answer.status}`)
  }
  for (let n = 0; n < LEASES; n += 8) await Promise.all(Array.from({ length: 8 }, (_, at) => put(n + at)))
  const all = await content(server.url)
  await stop(server, 'SIGKILL')
  return all
}

/** `exact`, `refused: ...`, `audit` (the history says AUDIT_CORRUPT, the leases are exact), or what is wrong. */
async function judge(data: string, wanted: Content): Promise<string> {
  const started = await start(data)
  if (!('url' in started)) {
    const oneLine = /^leasehold: [^\n]+\n$/.test(started.err)
    if (started.code === 1 && oneLine) return `refused: ${started.err.replaceAll(data, 'DATA')}`
    return `WRONG: exit code ${started.code}: ${started.err}`
  }
  try {
    const leases = await page<Lease>(started.url, '/v1/leases', 'leases')
    const seen = leases.map(({ name, token, meta }) => ({ name, token, meta }))
    if (JSON.stringify(seen) !== JSON.stringify(wanted.leases)) return 'WRONG: other leases'
    const { hashes } = await content(started.url)
    return JSON.stringify(hashes) === JSON.stringify(wanted.hashes) ? 'exact' : 'WRONG: another history'
  } catch (error) {
    return (error as Error).message === 'AUDIT_CORRUPT' ? 'audit' : `WRONG: ${error}`
  } finally {
    await stop(started, 'SIGKILL')
  }
}

/** Damages spread over all files that are ever read: LevelDB's own log and lock are not. */
function spread(path: string, seed: number): Damage[] {
  const all = flips(path, EACH, seed).filter(({ file }) => !/(LOG|LOG\.old|LOCK|owner)$/.test(file))
  return Array.from({ length: EACH }, (_, at) => all[Math.floor((at * all.length) / EACH)]!)
}

async function endure(
  pristine: string,
  wanted: Content,
  damages: readonly Damage[],
): Promise<[string, string, string][]> {
  const verdicts: [string, string, string][] = []
  const rest = [...damages]
  const worker = async (id: number) => {
    const copy = join(root, `copy-${id}`)
    for (let damage = rest.shift(); damage !== undefined; damage = rest.shift()) {
      damagedCopy(pristine, copy, damage)
      verdicts.push([describeDamage(damage), await judge(copy, wanted), await judge(copy, wanted)])
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, id) => worker(id)))
  return verdicts
}

const killed = join(root, 'killed')
const wanted = await written(killed)
const compacted = join(root, 'compacted')
copyDirectory(killed, compacted)
const again = (await start(compacted)) as Server
await stop(again, 'SIGTERM')
await compact(compacted)

for (const [what, pristine, seed] of [
  ['a directory left by kill -9', killed, SEED],
  ['a compacted directory', compacted, SEED + 1],
] as const) {
  t.test(`a flipped byte in ${what}: exactly what was acknowledged, or refused, twice`, async (t) => {
    const copy = join(root, 'undamaged')
    copyDirectory(pristine, copy)
    t.equal(await judge(copy, wanted), 'exact', 'undamaged, it is exact')
    rmSync(copy, { recursive: true })
    const verdicts = await endure(pristine, wanted, spread(pristine, seed))
    t.equal(verdicts.length, EACH)
    t.same(
      verdicts.filter((verdict) => verdict.some((part) => part.startsWith('WRONG'))),
      [],
    )
    t.same(
      verdicts.filter(([, first, second]) => first !== second),
      [],
      'the second start does as the first',
    )
    const refused = verdicts.filter(([, first]) => first.startsWith('refused'))
    t.not(refused.length, 0, `${refused.length} of ${EACH} were refused`)
  })
}
