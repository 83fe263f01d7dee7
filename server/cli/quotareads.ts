/** `leasehold quota get | list | top | watch`: what a quota says of itself, and who takes most. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '@leasehold/protocol'
import { command, EXIT, type Io } from './command.js'
import { connect, connectionFlags } from './connection.js'
import type { Answer, HttpClient } from './http.js'
import { answerLine, pairs, table } from './output.js'
import { described, keyText, kindOf, type QuotaBody, quotaPath, ratesText } from './quotabody.js'

const NAME = { name: 'NAME', format: 'name' } as const
const WATCH_MS = 1_000

export const get = command({
  name: 'quota get',
  summary: 'show a quota, and how full it is',
  operands: [NAME],
  flags: connectionFlags,
  async run({ settings, operands: [name = ''], io }) {
    const answer = await connect(settings, io).ask<QuotaBody>({ method: 'GET', path: quotaPath(name) })
    io.out(settings.json ? answerLine(answer) : pairs(described(answer.body), io.color))
    return EXIT.done
  },
})

export const list = command({
  name: 'quota list',
  summary: 'list the quotas, in order of their names',
  operands: [],
  flags: {
    prefix: { type: 'string', format: 'prefix', value: 'PREFIX', help: 'only names that begin so' },
    limit: { type: 'integer', min: 1, max: LIMITS.pageMax, value: 'N', default: 100, help: 'at most so many' },
    after: { type: 'string', value: 'CURSOR', help: 'go on where a page ended' },
    ...connectionFlags,
  },
  async run({ settings, io }) {
    const query = new URLSearchParams({ limit: String(settings.limit) })
    if (settings.prefix !== undefined) query.set('prefix', settings.prefix)
    if (settings.after !== undefined) query.set('after', settings.after)
    const answer = await connect(settings, io).ask<{ quotas: QuotaBody[]; next: string | null }>({
      method: 'GET',
      path: `/v1/quotas?${query}`,
    })
    if (settings.json) {
      io.out(answerLine(answer))
      return EXIT.done
    }
    const { quotas, next } = answer.body
    const rows = quotas.map((quota) => [
      quota.name,
      ratesText(quota),
      ...(quota.perKey ? ['-', '-'] : [String(quota.available), String(quota.outstanding)]),
      quota.parent ?? '-',
      kindOf(quota),
    ])
    io.out(table(['NAME', 'RATE', 'AVAILABLE', 'OUTSTANDING', 'PARENT', 'KIND'], rows, io.color))
    if (next !== null) io.err(`more: --after ${next}\n`)
    return EXIT.done
  },
})

interface TopBody {
  readonly keys: readonly { readonly key: string; readonly ratePerS: number; readonly errorPerS: number }[]
  readonly totalPerS: number
}

export const top = command({
  name: 'quota top',
  summary: 'show the keys of a quota that ask for most',
  operands: [NAME],
  flags: {
    limit: { type: 'integer', min: 1, max: LIMITS.pageMax, value: 'N', default: 20, help: 'at most so many' },
    ...connectionFlags,
  },
  notes: ['Rates are tokens a second of late; each is too high by at most its error.'],
  async run({ settings, operands: [name = ''], io }) {
    const path = quotaPath(name, `/top?limit=${settings.limit}`)
    const answer = await connect(settings, io).ask<TopBody>({ method: 'GET', path })
    if (settings.json) {
      io.out(answerLine(answer))
      return EXIT.done
    }
    const { keys, totalPerS } = answer.body
    const rows = keys.map(({ key, ratePerS, errorPerS }) => [rate(ratePerS), rate(errorPerS), keyText(key)])
    io.out(table(['RATE/S', 'ERROR/S', 'KEY'], rows, io.color))
    io.err(`all keys together: ${rate(totalPerS)}/s\n`)
    return EXIT.done
  },
})

const rate = (perS: number): string => perS.toFixed(1)

export const watch = command({
  name: 'quota watch',
  summary: 'show a quota again whenever something about it has changed',
  operands: [NAME],
  flags: { count: { type: 'integer', min: 1, value: 'N', help: 'end after so many times' }, ...connectionFlags },
  notes: ['It looks about once a second, until Ctrl-C. With --json each line is the quota.'],
  async run({ settings, operands: [name = ''], io }) {
    let seen = 0
    for await (const { body } of changes(connect(settings, io), name, io)) {
      io.out(settings.json ? `${JSON.stringify(body)}\n` : watchLine(body))
      seen += 1
      if (seen === settings.count) break
    }
    return EXIT.done
  },
})

/** The quota as it is, then each time that it is found changed, until the signal. Throws CliError, also once there is no such quota. */
async function* changes(http: HttpClient, name: string, io: Io): AsyncGenerator<Answer<QuotaBody>> {
  for (let last = ''; !io.signal.aborted; ) {
    const answer = await http.ask<QuotaBody>({ method: 'GET', path: quotaPath(name) }).catch((error: unknown) => {
      if (io.signal.aborted) return null
      throw error
    })
    if (answer === null) return
    if (answer.text !== last) yield answer
    last = answer.text
    await sleep(WATCH_MS, undefined, { signal: io.signal }).catch(() => undefined)
  }
}

function watchLine(quota: QuotaBody): string {
  const { name, version, available = 0, outstanding = 0 } = quota
  const level = quota.perKey ? '' : `  available ${available}  outstanding ${outstanding}`
  return `${name}  v${version}  ${ratesText(quota)}${level}\n`
}
