/**
 * Measures the machine alone: `node --expose-gc test/dist/machine/measure.js`. Speed of batches of 500 commands, and
 * what a million leases weigh. No part of the tests: it judges nothing.
 */
import { type Command, clusterMs, fencingToken, logIndex, OP, run, term, wallMs } from '@leasehold/protocol'
import { type Applied, Machine } from '@leasehold/server/machine'
import { acquire, reloaded } from './driver.js'

const BATCH = 500
const MILLION = 1_000_000

class Bench {
  machine = new Machine()
  timeMs = 10_000
  #index = 0
  apply(commands: readonly Command[]): Applied {
    const stamp = { term: term(1), index: logIndex(++this.#index), timeMs: clusterMs(this.timeMs), wallMs: wallMs(0) }
    return this.machine.apply({ ...stamp, member: 'n1', run: run(0), batch: 0, commands })
  }
}

// a decoded command brings its own strings
const copy = (text: string) => Buffer.from(text).toString('latin1')
const nameOf = (i: number) => copy(`tenants/${String(i % 977).padStart(6, '0')}/jobs/${String(i).padStart(19, '0')}`)
const asked = (i: number, key: number) => ({
  ...acquire(nameOf(i), copy(`worker-${i}`), { principal: copy('billing'), ttlMs: 60_000 }),
  request: { scope: copy(`s:${'0'.repeat(31)}${i % 8}`), key, lowest: Math.max(1, key - 64), knownMs: clusterMs(0) },
})

function timed(what: string, count: number, run: () => void): void {
  const startedMs = performance.now()
  const before = process.cpuUsage()
  run()
  const seconds = (performance.now() - startedMs) / 1_000
  const { user, system } = process.cpuUsage(before)
  const perSecond = (inSeconds: number) => Math.round(count / inSeconds).toLocaleString('en')
  console.log(
    `${what}: ${perSecond(seconds)}/s (${seconds.toFixed(2)} s), ${perSecond((user + system) / 1e6)} per CPU second`,
  )
}

function pairs(requests: boolean, count: number): void {
  const bench = new Bench()
  const batches: Acquired[] = []
  for (let at = 0; at < count; at += BATCH / 2) {
    const commands: Command[] = []
    for (let i = at; i < at + BATCH / 2; i++) {
      const one = asked(i, Math.floor(i / 8) + 1)
      commands.push(requests ? one : { ...one, request: null })
    }
    batches.push(commands)
  }
  let token = 0
  timed(`acquire and release, ${requests ? 'with' : 'without'} request tokens`, 2 * count, () => {
    for (const commands of batches) {
      bench.timeMs += 1
      const all: Command[] = []
      for (const one of commands) {
        if (one.op !== OP.acquire) continue
        all.push(one, { op: OP.release, principal: 'billing', name: one.name, token: fencingToken(++token) })
      }
      bench.apply(all)
      if (bench.timeMs % 50 === 0) for (const table of bench.machine.tables) table.takeChanges()
    }
  })
}
type Acquired = Command[]

function heapMiB(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}

function million(): void {
  const before = heapMiB()
  const bench = new Bench()
  timed('a million acquires', MILLION, () => {
    for (let at = 0; at < MILLION; at += BATCH) {
      bench.timeMs += 10
      bench.apply(Array.from({ length: BATCH }, (_, i) => asked(at + i, Math.floor((at + i) / 8) + 1)))
      if (at % 50_000 === 0) for (const table of bench.machine.tables) table.takeChanges()
    }
  })
  for (const table of bench.machine.tables) for (const { row } of table.takeChanges()) row.saved = 0xdeadbeef | 0
  console.log(`bytes a lease: ${Math.round(((heapMiB() - before) * 2 ** 20) / MILLION)}`)
  const names = Array.from({ length: MILLION }, (_, i) => nameOf(i))
  let worstMs = 0
  for (const label of ['renewals among a million', 'again, with every end to be corrected']) {
    timed(label, MILLION, () => {
      for (let at = 0; at < MILLION; at += BATCH) {
        bench.timeMs += 10
        const batch: Command[] = []
        for (let i = 0; i < BATCH; i++) {
          const n = ((at + i) * 7919) % MILLION
          batch.push({ op: OP.renew, principal: 'billing', name: names[n]!, token: fencingToken(n + 1) })
        }
        const startedMs = performance.now()
        bench.apply(batch)
        worstMs = Math.max(worstMs, performance.now() - startedMs)
      }
    })
    bench.timeMs += 30_000
    const startedMs = performance.now()
    bench.apply([])
    console.log(
      `after a pause of 30 s: ${(performance.now() - startedMs).toFixed(1)} ms; worst entry ${worstMs.toFixed(1)} ms`,
    )
  }
  timed('reload', MILLION, () => {
    bench.machine = reloaded(bench.machine)
  })
}

/** A hundred thousand leases that end within the same second. */
function expiry(): void {
  const bench = new Bench()
  const count = 100_000
  for (let at = 0; at < count; at += BATCH) {
    bench.timeMs += 5
    bench.apply(Array.from({ length: BATCH }, (_, i) => asked(at + i, Math.floor((at + i) / 8) + 1)))
    for (const table of bench.machine.tables) for (const { row } of table.takeChanges()) row.saved = 0xdeadbeef | 0
  }
  const entries: number[] = []
  timed('expiry of a hundred thousand', count, () => {
    while (bench.machine.leaseCount > 0) {
      const startedMs = performance.now()
      const { moreDue } = bench.apply([])
      entries.push(performance.now() - startedMs)
      if (!moreDue) bench.timeMs += 60
      for (const table of bench.machine.tables) table.takeChanges()
    }
  })
  entries.sort((a, b) => b - a)
  console.log(
    `the slowest entries took ${entries
      .slice(0, 3)
      .map((ms) => `${ms.toFixed(1)} ms`)
      .join(', ')}`,
  )
}

function renewals(): void {
  const bench = new Bench()
  const names = Array.from({ length: 1_000 }, (_, i) => nameOf(i))
  bench.apply(names.map((name) => acquire(name, 'h', { ttlMs: 60_000 })))
  timed('renewals of a thousand leases', 2 * MILLION, () => {
    for (let at = 0; at < 2 * MILLION; at += BATCH) {
      bench.timeMs += 1
      const batch: Command[] = []
      for (let i = 0; i < BATCH; i++) {
        const n = (at + i) % 1_000
        batch.push({ op: OP.renew, principal: 'h', name: names[n]!, token: fencingToken(n + 1) })
      }
      bench.apply(batch)
      if (bench.timeMs % 50 === 0) for (const table of bench.machine.tables) table.takeChanges()
    }
  })
}

const only = process.argv[2]
if (only === undefined || only === 'pairs') {
  pairs(false, 500_000)
  pairs(true, 500_000)
}
if (only === undefined || only === 'renew') renewals()
if (only === undefined || only === 'million') million()
if (only === undefined || only === 'expiry') expiry()
