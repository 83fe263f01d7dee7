/** `leasehold lease ...`: one request each, over HTTP. (Streams of changes are in watch.ts.) */
import { type Command, command, EXIT, type Io } from './command.js'
import { connect, connectionFlags, whoami, wishFlags } from './connection.js'
import { readDuration } from './formats.js'
import type { Answer } from './http.js'
import { answerLine, pairs, seconds, table } from './output.js'

interface GrantBody {
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly ttlMs: number
  readonly remainingMs: number
}
interface OfferBody {
  readonly offered: true
  readonly token: number
}
export interface LeaseBody extends GrantBody {
  readonly state?: string
  readonly waiters?: number
  readonly meta?: string | null
}

const NAME = { name: 'NAME', format: 'name' } as const

const tokenFlag = {
  type: 'string',
  format: 'token',
  value: 'TOKEN',
  env: 'LEASEHOLD_TOKEN',
  help: 'the fencing token of the grant (needed)',
} as const

const keyFlag = {
  type: 'string',
  format: 'idempotencyKey',
  value: 'KEY',
  help: 'an Idempotency-Key: repeating the command with it does nothing twice',
} as const

export function leasePath(name: string, action = ''): string {
  return `/v1/leases/${encodeURIComponent(name)}${action}`
}

const acquire = command({
  name: 'lease acquire',
  summary: 'take a lease, or wait for it',
  operands: [NAME],
  flags: {
    ...wishFlags,
    'lock-delay': {
      type: 'string',
      format: 'lockDelay',
      value: 'DURATION',
      default: '0ms',
      help: 'nobody gets it for so long after it expired or was revoked',
    },
    meta: { type: 'string', format: 'meta', value: 'TEXT', help: 'up to 1 KiB that travels with the grant' },
    key: keyFlag,
    ...connectionFlags,
  },
  notes: ['An offer that comes after waiting is claimed at once, by a renewal.'],
  async run({ settings, operands: [name = ''], io }) {
    const http = connect(settings, io)
    const waitMs = readDuration(settings.wait, 'wait')
    const answer = await http.ask<GrantBody | OfferBody>({
      method: 'PUT',
      path: leasePath(name),
      waitMs,
      headers: settings.key === undefined ? {} : { 'idempotency-key': settings.key },
      body: {
        holder: settings.holder ?? whoami(),
        ttlMs: readDuration(settings.ttl, 'ttl'),
        waitMs,
        priority: settings.priority,
        lockDelayMs: readDuration(settings['lock-delay'], 'lock-delay'),
        ...(settings.meta !== undefined && { meta: settings.meta }),
      },
    })
    if (!('offered' in answer.body)) return printGrant(answer as Answer<GrantBody>, settings.json, io)
    const { token } = answer.body
    const claimed = await http.ask<GrantBody>({ method: 'POST', path: leasePath(name, '/renew'), body: { token } })
    return printGrant(claimed, settings.json, io)
  },
})

const renew = command({
  name: 'lease renew',
  summary: 'make a lease live for its whole ttl again',
  operands: [NAME],
  flags: { token: tokenFlag, ...connectionFlags },
  needs: ['token'],
  async run({ settings, operands: [name = ''], io }) {
    const body = { token: Number(settings.token) }
    const answer = await connect(settings, io).ask<GrantBody>({ method: 'POST', path: leasePath(name, '/renew'), body })
    return printGrant(answer, settings.json, io)
  },
})

const release = command({
  name: 'lease release',
  summary: 'give a lease back',
  operands: [NAME],
  flags: { token: tokenFlag, ...connectionFlags },
  needs: ['token'],
  async run({ settings, operands: [name = ''], io }) {
    const body = { token: Number(settings.token) }
    const answer = await connect(settings, io).ask({ method: 'POST', path: leasePath(name, '/release'), body })
    io.out(settings.json ? answerLine(answer) : `released ${name}\n`)
    return EXIT.done
  },
})

const transfer = command({
  name: 'lease transfer',
  summary: 'hand a lease to somebody who waits for it',
  operands: [NAME],
  flags: {
    token: tokenFlag,
    to: { type: 'string', format: 'name', value: 'HOLDER', help: 'the waiting holder that shall have it (needed)' },
    ...connectionFlags,
  },
  needs: ['token', 'to'],
  async run({ settings, operands: [name = ''], io }) {
    const body = { token: Number(settings.token), to: settings.to }
    const answer = await connect(settings, io).ask({ method: 'POST', path: leasePath(name, '/transfer'), body })
    io.out(settings.json ? answerLine(answer) : `released ${name} and offered it to ${settings.to}\n`)
    return EXIT.done
  },
})

const revoke = command({
  name: 'lease revoke',
  summary: "end somebody's lease (operators)",
  operands: [NAME],
  flags: { key: keyFlag, ...connectionFlags },
  async run({ settings, operands: [name = ''], io }) {
    const headers = settings.key === undefined ? {} : { 'idempotency-key': settings.key }
    const answer = await connect(settings, io).ask<{ token?: number }>({
      method: 'DELETE',
      path: leasePath(name),
      headers,
    })
    io.out(settings.json ? answerLine(answer) : `revoked ${name}\n`)
    return EXIT.done
  },
})

const get = command({
  name: 'lease get',
  summary: 'show who holds a lease',
  operands: [NAME],
  flags: connectionFlags,
  async run({ settings, operands: [name = ''], io }) {
    const answer = await connect(settings, io).ask<LeaseBody>({ method: 'GET', path: leasePath(name) })
    if (settings.json) io.out(answerLine(answer))
    else io.out(pairs(described(answer.body), io.color))
    return EXIT.done
  },
})

const list = command({
  name: 'lease list',
  summary: 'list the leases that are held, in order of their names',
  operands: [],
  flags: {
    prefix: { type: 'string', format: 'prefix', value: 'PREFIX', help: 'only names that begin so' },
    limit: { type: 'integer', min: 1, max: 1_000, value: 'N', default: 100, help: 'at most so many' },
    after: { type: 'string', value: 'CURSOR', help: 'go on where a page ended' },
    ...connectionFlags,
  },
  async run({ settings, io }) {
    const query = new URLSearchParams({ limit: String(settings.limit) })
    if (settings.prefix !== undefined) query.set('prefix', settings.prefix)
    if (settings.after !== undefined) query.set('after', settings.after)
    const answer = await connect(settings, io).ask<{ leases: LeaseBody[]; next: string | null }>({
      method: 'GET',
      path: `/v1/leases?${query}`,
    })
    if (settings.json) {
      io.out(answerLine(answer))
      return EXIT.done
    }
    const { leases, next } = answer.body
    const rows = leases.map((lease) => [
      lease.name,
      lease.holder,
      String(lease.token),
      seconds(lease.remainingMs),
      lease.state ?? 'held',
      String(lease.waiters ?? 0),
    ])
    io.out(table(['NAME', 'HOLDER', 'TOKEN', 'LEFT', 'STATE', 'WAITERS'], rows, io.color))
    if (next !== null) io.err(`more: --after ${next}\n`)
    return EXIT.done
  },
})

export const leaseCommands: readonly Command[] = [acquire, renew, release, transfer, revoke, get, list]

function printGrant(answer: Answer<GrantBody>, json: boolean, io: Io): number {
  io.out(json ? answerLine(answer) : pairs(described(answer.body), io.color))
  return EXIT.done
}

function described(lease: LeaseBody): [string, string][] {
  const entries: [string, string][] = [
    ['name', lease.name],
    ['holder', lease.holder],
    ['token', String(lease.token)],
    ['ttl', seconds(lease.ttlMs)],
    ['left', seconds(lease.remainingMs)],
  ]
  if (lease.state !== undefined) entries.push(['state', lease.state])
  if (lease.waiters !== undefined) entries.push(['waiters', String(lease.waiters)])
  if (lease.meta) entries.push(['meta', lease.meta])
  return entries
}
