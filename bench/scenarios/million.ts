/**
 * A million live leases: what they weigh, how soon they are back after kill -9, and whether renewals are slower than on
 * an empty server. Raw sessions. Everything that is alive stays alive: the ttl is an hour.
 */
import { OK } from '@leasehold/protocol'
import { closedLoop } from '../driver.js'
import { median } from '../latency.js'
import { BENCH } from '../limits.js'
import { RawLeases } from '../rawleases.js'
import { openSessions, RawSession } from '../rawsession.js'
import type { Bench, Scenario } from '../scenario.js'
import type { ServerProcess } from '../server.js'
import { loadNote } from './notes.js'

const LEASES = 1_000_000
const NAME_BYTES = 40
const IN_FLIGHT = 512
const TTL_MS = 3_600_000
/** Many and short: the machine's own speed changes from one second to the next, and their median is to stand still. */
const PAIRS = 12
const PAIR_SHARE = 0.5
const RETRY_MS = 20
const RECOVERY_MS_MAX = 120_000

interface Side {
  readonly server: ServerProcess
  readonly sessions: readonly RawSession[]
  readonly leases: RawLeases
}

async function side(bench: Bench, count: number): Promise<Side> {
  const server = await bench.startServer()
  const sessions = await openSessions(server.url, BENCH.connections, 'bench-million')
  const leases = new RawLeases(sessions, count, 'bench/million/tenant-', NAME_BYTES)
  await leases.acquireAll(IN_FLIGHT, () => TTL_MS)
  return { server, sessions, leases }
}

/** Renewals per second of the one and the other, turn by turn. */
async function comparePairs(
  bench: Bench,
  seconds: number,
  empty: Side,
  full: Side,
): Promise<{ empty: number[]; full: number[] }> {
  const perS = { empty: [] as number[], full: [] as number[] }
  for (let pair = 0; pair < PAIRS; pair++) {
    for (const which of ['empty', 'full'] as const) {
      const { leases } = which === 'empty' ? empty : full
      const load = await closedLoop({ unit: leases.renewals(), inFlight: IN_FLIGHT, seconds })
      loadNote(bench, 'raw sessions', [load])
      perS[which].push(load.perS)
    }
    bench.say(
      `pair ${pair + 1} of ${PAIRS}: ${Math.round(perS.empty[pair]!)}/s empty, ${Math.round(perS.full[pair]!)}/s full`,
    )
  }
  return perS
}

/** One attempt to connect and write; false when any of it fails. */
async function tryWrite(url: string, attempt: number): Promise<boolean> {
  const session = await RawSession.open(url, 'bench-after').catch(() => null)
  if (session === null) return false
  const code = await new Promise<number>((resolve) => session.acquire(`bench/after/${attempt}`, 'h', TTL_MS, resolve))
  session.close()
  return code === OK
}

/** Milliseconds from kill -9 to the first write that the new process acknowledged. Throws with the server's last words where none is. */
async function killToWrite(server: ServerProcess): Promise<number> {
  const killedMs = await server.killAndRespawn()
  for (let attempt = 0; server.alive && performance.now() - killedMs < RECOVERY_MS_MAX; attempt++) {
    if (await tryWrite(server.url, attempt)) return performance.now() - killedMs
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
  throw new Error(`no write was acknowledged after kill -9:\n${server.lastOutput}`)
}

/** Renews a sample with the tokens from before the kill: throws when one is gone. */
async function verifySurvivors(url: string, before: RawLeases): Promise<void> {
  const session = await RawSession.open(url, 'bench-verify')
  const step = Math.max(1, Math.floor(before.tokens.length / 1_000))
  try {
    for (let at = 0; at < before.tokens.length; at += step) {
      const code = await new Promise<number>((resolve) => session.renew(before.name(at), before.tokens[at]!, resolve))
      if (code !== OK) throw new Error(`${before.name(at)} did not survive kill -9 (code ${code})`)
    }
  } finally {
    session.close()
  }
}

export const million: Scenario = {
  name: 'million',
  about: 'a million live leases (40-byte names, a holder each): memory, recovery, renewals against an empty server',
  repeats: 1,
  async run(bench) {
    const count = Math.ceil(LEASES / bench.shrink)
    const empty = await side(bench, IN_FLIGHT)
    bench.say(`acquiring ${count} leases`)
    const startMs = performance.now()
    const full = await side(bench, count)
    const fillPerS = (count * 1_000) / (performance.now() - startMs)
    const rssFilled = await full.server.rssBytes()
    bench.say(`renewing each once; ${Math.round(rssFilled / 1e6)} MB resident`)
    full.server.watchRss()
    await full.leases.renewAll(IN_FLIGHT)
    const seconds = bench.seconds * PAIR_SHARE
    const perS = await comparePairs(bench, seconds, empty, full)
    const rssMax = Math.max(full.server.rssBytesMax, await full.server.rssBytes())
    for (const session of [...empty.sessions, ...full.sessions]) session.close()
    await bench.measureRaw()
    bench.say('kill -9')
    const recoveryMs = await killToWrite(full.server)
    await verifySurvivors(full.server.url, full.leases)
    bench.note(
      `Two servers live side by side: one holds ${IN_FLIGHT} leases, the other ${count}. ${PAIRS} pairs of loads of ${seconds} s in ` +
        `turn (the one, the other), each renews all leases of its server round and round, ${IN_FLIGHT} in flight; the figure is the median of the pairs' ratios.`,
    )
    bench.note(
      'Resident: the largest VmRSS seen every 100 ms while each lease was renewed once and during those loads. Kill -9 to write: ' +
        'the page cache is warm, attempts to connect and acquire follow each other; afterwards 1,000 leases are renewed with their old tokens.',
    )
    const ratios = perS.full.map((value, i) => value / perS.empty[i]!)
    return [
      { name: 'acquired while filling', value: fillPerS, unit: '/s' },
      { name: 'resident after filling', value: rssFilled / 1e6, unit: 'MB' },
      {
        name: 'resident under renewals',
        value: rssMax / 1e6,
        unit: 'MB',
        target: { sense: 'at most', times: 900, of: 'absolute' },
      },
      { name: 'renewals, empty server', value: median(perS.empty), unit: '/s' },
      { name: 'renewals, full server', value: median(perS.full), unit: '/s' },
      {
        name: 'full / empty',
        value: median(ratios),
        unit: 'x',
        target: { sense: 'at least', times: 0.85, of: 'absolute' },
      },
      {
        name: 'kill -9 to first write',
        value: recoveryMs / 1_000,
        unit: 's',
        target: { sense: 'at most', times: 6, of: 'absolute' },
      },
    ]
  },
}
