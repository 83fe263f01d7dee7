/**
 * A made-up next version of Leasehold: the code that was built, copied, with a few lines of it changed, and loaded beside this version's
 * in one process. It knows formats 1 to 3. Format 3 has a command `tally`, which counts on a lease; rows of leases have that
 * count as one more field; heartbeats have one more field, too, from the start.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FORMATS, type Formats } from '@leasehold/protocol'
import { Machine } from '@leasehold/server/machine'
import { createReplica, RaftLog } from '@leasehold/server/replica'
import { Headroom, openStore } from '@leasehold/server/storage'
import type { Test } from 'tap'
import { plant } from '../faults/fault.js'

/** What a member is made of. */
export interface Version {
  readonly formats: Formats
  readonly Machine: typeof Machine
  readonly createReplica: typeof createReplica
  readonly RaftLog: typeof RaftLog
  readonly Headroom: typeof Headroom
  readonly openStore: typeof openStore
}

export const THIS: Version = { formats: FORMATS, Machine, createReplica, RaftLog, Headroom, openStore }

/** The operation's number. */
export const TALLY = 72

const root = join(import.meta.dirname, '..', '..', '..')

interface Change {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const CHANGES: readonly Change[] = [
  { file: 'protocol/dist/formats.js', find: 'min: 1, max: 2', replace: 'min: 1, max: 3' },
  {
    file: 'protocol/dist/records.js',
    find: 'case INTERNAL_OP.waiterLost:\n            return',
    replace: `case ${TALLY}:\n            return [c.op, c.name]\n        case INTERNAL_OP.waiterLost:\n            return`,
  },
  {
    file: 'protocol/dist/records.js',
    find: 'case INTERNAL_OP.waiterLost:\n            checkCount',
    replace: `case ${TALLY}:\n            return { op, name: f[1] }\n        case INTERNAL_OP.waiterLost:\n            checkCount`,
  },
  {
    file: 'server/dist/machine/machine.js',
    find: 'case INTERNAL_OP.waiterLost:',
    replace: `case ${TALLY}: {
            const lease = state.leases.get(command.name)
            if (lease === undefined) return DONE
            lease.tally++
            state.leases.table.touch(lease)
            return DONE
        }
        case INTERNAL_OP.waiterLost:`,
  },
  {
    file: 'server/dist/machine/lease.js',
    find: 'lease.renewals,\n',
    replace: 'lease.renewals, ...(lease.tally > 0 ? [lease.tally] : []),\n',
  },
  {
    file: 'server/dist/machine/lease.js',
    find: 'return lease;',
    replace: 'if (fields.more) lease.tally = fields.int()\n        return lease;',
  },
  { file: 'server/dist/machine/lease.js', find: 'meta: null,', replace: 'meta: null, tally: 0,' },
  {
    // Each batch of clients' commands counts on the lease of its first one.
    file: 'server/dist/replica/outbound.js',
    find: 'const own = this.#beats.takeOwn();',
    replace: `const own = this.#beats.takeOwn();
        if (batch !== null && this.#machine.format >= 3) own.push({ op: ${TALLY}, name: batch.commands[0].name });`,
  },
  {
    file: 'server/dist/replica/messages.js',
    find: 'return [m.kind, m.term, m.commit, m.round];',
    replace: "return [m.kind, m.term, m.commit, m.round, 'more'];",
  },
]

export const nextVersion = (t: Test): Promise<Version> => built(t, { min: 1, max: 3 }, CHANGES)

/** This one, as if it did not know the format that brought quotas: it is not told of anything that is new in that, or it ends. */
export const formerVersion = (t: Test): Promise<Version> =>
  built(t, { min: 1, max: 1 }, [
    { file: 'protocol/dist/formats.js', find: 'min: 1, max: 2', replace: 'min: 1, max: 1' },
  ])

/** Built anew; gone with the test. */
async function built(t: Test, formats: Formats, changes: readonly Change[]): Promise<Version> {
  const directory = mkdtempSync(join(tmpdir(), 'leasehold-next-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const packages = join(directory, 'node_modules')
  mkdirSync(join(packages, '@leasehold'), { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== '@leasehold') symlinkSync(join(root, 'node_modules', name), join(packages, name))
  }
  for (const name of ['protocol', 'server']) {
    for (const part of ['package.json', 'dist'])
      cpSync(join(root, name, part), join(directory, name, part), { recursive: true })
    symlinkSync(join(directory, name), join(packages, '@leasehold', name))
  }
  for (const change of changes) {
    const file = join(directory, change.file)
    writeFileSync(file, plant(readFileSync(file, 'utf8'), { name: 'another version', ...change }))
  }
  const room = (name: string) => import(pathToFileURL(join(directory, 'server', 'dist', name, 'index.js')).href)
  const [machine, replica, storage] = await Promise.all(['machine', 'replica', 'storage'].map(room))
  return { formats, ...machine, ...replica, ...storage }
}
