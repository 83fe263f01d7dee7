/** `leasehold quota set | delete | take`: one request each, over HTTP. (What only reads is in quotareads.ts.) */
import { type Bandwidth, LIMITS } from '@leasehold/protocol'
import { type Command, command, EXIT, type Settings } from './command.js'
import { connect, connectionFlags } from './connection.js'
import { readNamedKey, readRate } from './formats.js'
import { answerLine, pairs, seconds } from './output.js'
import { described, type QuotaBody, quotaPath } from './quotabody.js'
import { get, list, top, watch } from './quotareads.js'

const NAME = { name: 'NAME', format: 'name' } as const

const specFlags = {
  rate: {
    type: 'string',
    many: true,
    format: 'rate',
    value: 'RATE',
    help: 'what flows in, such as 100/s, 1000/1h, or 1000/1h:50 with a burst of 50; all that are given must admit (needed)',
  },
  burst: {
    type: 'integer',
    min: 1,
    max: LIMITS.quotaTokensMax,
    value: 'N',
    help: 'the most at once, of rates that say none (default: as many as the rate has tokens)',
  },
  parent: { type: 'string', format: 'name', value: 'QUOTA', help: 'whoever takes here takes there, too' },
  weight: {
    type: 'integer',
    min: 1,
    max: LIMITS.quotaWeightMax,
    value: 'N',
    default: 1,
    help: 'among those of one parent, where there is not enough for all',
  },
  guaranteed: {
    type: 'integer',
    min: 0,
    max: 100,
    value: 'PERCENT',
    default: 0,
    help: 'so much of what the parent has comes here first',
  },
  'no-borrow': { type: 'boolean', help: 'never more of the parent than is guaranteed' },
  initial: {
    type: 'integer',
    min: 0,
    max: LIMITS.quotaTokensMax,
    value: 'N',
    help: 'tokens that it starts with (default: full)',
  },
  'per-key': { type: 'boolean', help: 'one bucket for each key (a customer, an address)' },
  key: {
    type: 'string',
    many: true,
    format: 'namedKey',
    value: 'KEY=QUOTA',
    help: 'of a --per-key quota: this key has that quota instead; may be given more than once',
  },
  shadow: { type: 'boolean', help: 'count, and never deny' },
  'when-unavailable': {
    type: 'string',
    choices: ['deny', 'allow'],
    value: 'ANSWER',
    default: 'deny',
    help: 'where nobody can say',
  },
} as const

const set = command({
  name: 'quota set',
  summary: 'make a quota, or change it as a whole',
  operands: [NAME],
  flags: { ...specFlags, ...connectionFlags },
  needs: ['rate'],
  notes: ['What is left out has its default, also where the quota had something else. A change never adds tokens.'],
  async run({ settings, operands: [name = ''], io }) {
    const body = specOf(settings)
    const answer = await connect(settings, io).ask<QuotaBody>({ method: 'PUT', path: quotaPath(name), body })
    io.out(settings.json ? answerLine(answer) : pairs(described(answer.body), io.color))
    return EXIT.done
  },
})

function specOf(settings: Settings<typeof specFlags>): object {
  const bandwidths = settings.rate.map(readRate).map(({ tokens, perMs, burst }): Bandwidth => {
    return { tokens, perMs, burst: burst || (settings.burst ?? tokens) }
  })
  return {
    bandwidths,
    parent: settings.parent ?? null,
    weight: settings.weight,
    guaranteedPercent: settings.guaranteed,
    borrow: !settings['no-borrow'],
    initial: settings.initial ?? null,
    perKey: settings['per-key'],
    shadow: settings.shadow,
    whenUnavailable: settings['when-unavailable'],
    keys: settings.key.map(readNamedKey),
  }
}

const remove = command({
  name: 'quota delete',
  summary: 'delete a quota',
  operands: [NAME],
  flags: connectionFlags,
  async run({ settings, operands: [name = ''], io }) {
    const answer = await connect(settings, io).ask({ method: 'DELETE', path: quotaPath(name) })
    io.out(settings.json ? answerLine(answer) : `deleted ${name}\n`)
    return EXIT.done
  },
})

interface TakenBody {
  readonly taken: number
  readonly remaining: number
  readonly limit: number
  readonly resetMs: number
  readonly how: string
}

/** Of those answers that are not what they seem. */
const HOW: Readonly<Record<string, string>> = {
  shadow: '; it would have been denied, but for --shadow',
  unavailable: '; nobody could say, and it is set to allow then',
}

const take = command({
  name: 'quota take',
  summary: 'take from a quota, or be told when to come back',
  operands: [NAME],
  flags: {
    cost: { type: 'integer', min: 1, max: LIMITS.quotaTokensMax, value: 'N', default: 1, help: 'so many tokens' },
    key: { type: 'string', format: 'quotaKey', value: 'KEY', help: 'whose bucket, of a --per-key quota' },
    'up-to': { type: 'boolean', help: 'as many of them as there are' },
    peek: { type: 'boolean', help: 'take nothing: only say' },
    ...connectionFlags,
  },
  faults: (settings) => (settings['up-to'] && settings.peek ? ['--up-to and --peek do not go together'] : []),
  notes: ['Exits 0 where it is admitted, 1 where it is denied.'],
  async run({ settings, operands: [name = ''], io }) {
    const { cost, key = null, 'up-to': upTo, peek } = settings
    const answer = await connect(settings, io).ask<TakenBody>({
      method: 'POST',
      path: quotaPath(name, '/take'),
      body: { cost, key, upTo, peek },
    })
    if (settings.json) {
      io.out(answerLine(answer))
      return EXIT.done
    }
    const { taken, remaining, limit, resetMs, how } = answer.body
    const what = peek ? `${cost} would be admitted` : `took ${taken}`
    const full = remaining < limit ? `, full in ${seconds(resetMs)}` : ''
    io.out(`${what}; ${remaining} of ${limit} left${full}${HOW[how] ?? ''}\n`)
    return EXIT.done
  },
})

export const quotaCommands: readonly Command[] = [set, get, list, remove, take, top, watch]
