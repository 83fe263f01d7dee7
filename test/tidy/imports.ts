/**
 * Who may import whom. Rooms are listed with what they may import besides protocol and themselves; a room that is not
 * listed may import nothing, so that a new one has to be given its place first.
 */
import { withoutComments } from './code.js'
import { type Finding, type HouseRule, isSource, isTest } from './rule.js'

interface Room {
  /** Rooms whose values and types it may import. */
  readonly rooms: readonly string[]
  /** Rooms and packages of which it may import types alone: these vanish when it is compiled. */
  readonly types: readonly string[]
  /** Packages, a `*` at the end standing for anything. */
  readonly packages: readonly string[]
}

const room = (rooms: string[], types: string[] = [], packages: string[] = []): Room => ({ rooms, types, packages })
const CLIENT_PACKAGES = ['@leasehold/protocol', 'ws', '@msgpack/msgpack', 'lru-cache', 'node:*']

const ROOMS: Readonly<Record<string, Room>> = {
  protocol: room([], [], ['@msgpack/msgpack']),
  'server/ports': room([]),
  'server/machine': room([]),
  'server/raft': room([]),
  // The hash of the chains is a computation, no I/O. The machine's shapes are what storage writes down.
  'server/storage': room(['server/ports'], ['server/machine'], ['@msgpack/msgpack', 'node:crypto']),
  // It owns the sockets between members, as http/ owns those of clients.
  'server/peers': room(['server/ports'], [], ['node:net']),
  'server/replica': room(['server/machine', 'server/raft', 'server/ports'], ['server/storage']),
  'server/quota': room(['server/replica', 'server/ports']),
  'server/publish': room(['server/replica', 'server/ports']),
  'server/intake': room(['server/quota', 'server/replica', 'server/ports'], ['server/storage']),
  'server/session': room(['server/intake'], ['server/publish', 'server/quota', 'server/replica', 'server/ports']),
  'server/http': room(
    ['server/session', 'server/intake', 'server/replica'],
    ['server/ports', 'node:*', 'ws'],
    ['fastify', '@fastify/*', 'typebox', 'typebox/*', 'pino', 'prom-client', '@msgpack/msgpack'],
  ),
  'server/cli': room(['*'], [], ['*']),
  'server/bin': room(['*'], [], ['*']),
  client: room([], [], CLIENT_PACKAGES),
  'client/fence': room(['client'], [], CLIENT_PACKAGES),
  'client/ratelimit': room(['client'], [], CLIENT_PACKAGES),
  'client/testing': room(['client'], [], [...CLIENT_PACKAGES, '@leasehold/server/*']),
  bench: room(['*'], [], ['*']),
  test: room(['*'], [], ['*']),
}

export interface Import {
  readonly line: number
  readonly from: string
  readonly typeOnly: boolean
}

const IMPORT =
  /\b(import|export)\b(\s+type\b)?(?:[^'"`;=()]*?\bfrom)?\s*['"]([^'"]+)['"]|\b(?:import|require)\s*\(\s*['"`]([^'"`]*)/g

export function importsOf(text: string): Import[] {
  const code = withoutComments(text)
  return [...code.matchAll(IMPORT)].map((match) => ({
    line: code.slice(0, match.index).split('\n').length,
    from: match[3] ?? match[4]!,
    typeOnly: match[2] !== undefined,
  }))
}

/** The room that a file or a folder belongs to: the longest listed one, else its first two segments. */
export function roomOf(path: string): string {
  const segments = path.split('/')
  const two = segments.slice(0, 2).join('/')
  if (two in ROOMS) return two
  const one = segments[0]!
  return one in ROOMS && (one !== 'protocol' || segments.length === 2) ? one : two
}

const allows = (list: readonly string[], name: string) =>
  list.some((item) => item === name || (item.endsWith('*') && name.startsWith(item.slice(0, -1))))

function directions(path: string, text: string): Finding[] {
  if (!isSource(path) || !path.includes('/')) return []
  const from = roomOf(path)
  const rules = ROOMS[from]
  if (rules === undefined) return [{ line: 1, says: `the room ${from} has no place in the table of imports` }]
  return importsOf(text).flatMap((one) => {
    const says = one.from.startsWith('.') ? relativeFault(path, from, rules, one) : packageFault(from, rules, one)
    return says === null ? [] : [{ line: one.line, says }]
  })
}

function relativeFault(path: string, from: string, rules: Room, one: Import): string | null {
  if (isTest(path) && !one.from.endsWith('.mjs') && !one.from.endsWith('.js')) return 'a relative import ends in .js'
  const target = new URL(one.from, `file:///${path}`).pathname.slice(1)
  const to = roomOf(target)
  if (to === from) return null
  if (!allows(rules.rooms, to) && !(one.typeOnly && allows(rules.types, to))) {
    const types = rules.types.includes(to) ? ' (its types alone: import type)' : ''
    return `${from} must not import ${to}${types}`
  }
  // The parts of the client are one package, and its index brings a socket along that a fence has no use for. Who wires all
  // rooms together may load a part of one without the rest.
  const met = !to.startsWith('server/') || target.endsWith('/index.js') || rules.rooms.includes('*')
  return met ? null : `rooms meet at their index: import ${to}/index.js, not ${target}`
}

function packageFault(from: string, rules: Room, one: Import): string | null {
  if (one.from === '@leasehold/protocol' && from !== 'protocol') return null
  if (one.typeOnly && allows(rules.types, one.from)) return null
  return allows(rules.packages, one.from) ? null : `${from} must not import ${one.from}`
}

export const importRule: HouseRule = {
  claim: 'every room imports what the table of imports allows, and nothing else',
  rule: directions,
  planted: [
    { path: 'protocol/x.ts', text: "import { readFileSync } from 'node:fs'" },
    { path: 'protocol/x.ts', text: "import { Machine } from '@leasehold/server/machine'" },
    { path: 'protocol/x.ts', text: "export * from 'lru-cache'" },
    { path: 'server/machine/x.ts', text: "import {\n  a,\n  b,\n} from '../replica/index.js'" },
    { path: 'server/machine/x.ts', text: "import type { Clock } from '../ports/index.js'" },
    { path: 'server/raft/x.ts', text: "const x = await import('node:crypto')" },
    { path: 'server/storage/x.ts', text: "import { Machine } from '../machine/index.js'" },
    { path: 'server/storage/x.ts', text: "import { open } from 'node:fs/promises'" },
    { path: 'server/replica/x.ts', text: "import { sessions } from '../session/index.js'" },
    { path: 'server/http/x.ts', text: "import { StoreImpl } from '../storage/store.js'" },
    { path: 'server/http/x.ts', text: "import { createIntake } from '../intake/intake.js'" },
    { path: 'server/http/x.ts', text: "import { connect } from 'node:net'" },
    { path: 'server/newroom/x.ts', text: 'export const x = 1' },
    { path: 'client/x.ts', text: "import 'fastify'" },
    { path: 'client/x.ts', text: "import { Machine } from '@leasehold/server/machine'" },
    { path: 'client/x.ts', text: "import { world } from './testing/index.js'" },
    { path: 'client/fence/x.ts', text: "import type { FastifyInstance } from 'fastify'" },
  ],
  innocent: [
    { path: 'client/fence/x.ts', text: "import { LeaseholdError } from '../errors.js'" },
    { path: 'protocol/x.ts', text: "// import 'node:fs'\nimport { Encoder } from '@msgpack/msgpack'\nimport './y.js'" },
    { path: 'server/storage/x.ts', text: "import type { Entry } from '../machine/index.js'" },
    { path: 'server/machine/x.ts', text: "import { LIMITS } from '@leasehold/protocol'\nconst s = `from 'x'`" },
    { path: 'client/testing/x.ts', text: "import { Machine } from '@leasehold/server/machine'" },
    { path: 'server/cli/x.ts', text: "import pino from 'pino'\nimport { a } from '../http/telemetry.js'" },
  ],
}
