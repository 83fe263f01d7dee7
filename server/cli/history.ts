/** `leasehold history`: the audit, page by page, and its check. */
import { command, EXIT, type Io } from './command.js'
import { connect, connectionFlags } from './connection.js'
import { eventCells, type HistoryBody } from './events.js'
import type { HttpClient } from './http.js'
import { leasePath } from './lease.js'
import { seconds, table } from './output.js'
import { ChainCheck } from './verify.js'

const PAGE = 1_000

export const history = command({
  name: 'history',
  summary: 'show what became of leases and quotas, and verify that nobody altered it',
  operands: [{ name: 'NAME', format: 'name', optional: true }],
  flags: {
    limit: { type: 'integer', min: 1, max: PAGE, value: 'N', default: 100, help: 'at most so many changes' },
    after: { type: 'string', value: 'CURSOR', help: 'go on where a page ended' },
    prefix: { type: 'string', format: 'prefix', value: 'PREFIX', help: 'without NAME: only names that begin so' },
    all: { type: 'boolean', help: 'all pages (with --json: one line for each change)' },
    verify: { type: 'boolean', help: 'recompute the whole chain of hashes instead' },
    ...connectionFlags,
  },
  notes: [
    'Without NAME it is the history of all names, oldest first.',
    '--verify reads everything, whatever NAME says; it exits 1 and says where the chain breaks.',
  ],
  async run({ settings, operands: [name = ''], io }) {
    const http = connect(settings, io)
    if (settings.verify) return verify(http, settings.json, io)
    const base = name === '' ? '/v1/history' : leasePath(name, '/history')
    const prefix = name === '' ? settings.prefix : undefined
    if (!settings.all) {
      const { body, text } = await page(http, base, { after: settings.after, limit: settings.limit, prefix })
      if (settings.json) io.out(`${text.trimEnd()}\n`)
      else {
        io.out(table(HEAD, body.events.map(eventCells), io.color))
        if (body.next !== null) io.err(`more: --after ${body.next}\n`)
      }
      return EXIT.done
    }
    let head = HEAD
    for await (const body of pages(http, base, { after: settings.after, limit: PAGE, prefix })) {
      if (settings.json) for (const event of body.events) io.out(`${JSON.stringify(event)}\n`)
      else io.out(table(head, body.events.map(eventCells), io.color).replace(/^\n/, ''))
      head = HEAD.map(() => '')
    }
    return EXIT.done
  },
})

const HEAD = ['AT', 'CHANGE', 'NAME', 'HOLDER', 'TOKEN', 'WHY']

interface Page {
  readonly after?: string | undefined
  readonly prefix?: string | undefined
  readonly limit: number
}

function page(http: HttpClient, base: string, { after, prefix, limit }: Page) {
  const query = new URLSearchParams({ limit: String(limit) })
  if (after !== undefined) query.set('after', after)
  if (prefix !== undefined) query.set('prefix', prefix)
  return http.ask<HistoryBody>({ method: 'GET', path: `${base}?${query}` })
}

async function* pages(http: HttpClient, base: string, first: Page): AsyncGenerator<HistoryBody> {
  for (let next = first; ; ) {
    const { body } = await page(http, base, next)
    yield body
    if (body.next === null) return
    next = { ...first, after: body.next }
  }
}

async function verify(http: HttpClient, json: boolean, io: Io): Promise<number> {
  const startMs = performance.now()
  const check = new ChainCheck()
  for await (const body of pages(http, '/v1/history', { limit: PAGE })) {
    for (const event of body.events) if (!check.add(event)) break
    if (check.broken !== null) break
  }
  const { events, firstSeq, lastSeq, lastHash, anchor, broken } = check
  if (json)
    io.out(`${JSON.stringify({ verified: broken === null, events, firstSeq, lastSeq, lastHash, anchor, broken })}\n`)
  else if (broken !== null) io.out(`BROKEN at seq ${broken.seq}: ${broken.why}\n`)
  else if (events === 0) io.out('verified: the history is empty\n')
  else {
    const since = anchor === null ? 'from the first change' : `from the anchor ${anchor}: what came before was trimmed`
    const took = seconds(performance.now() - startMs)
    io.out(
      `verified ${events} ${events === 1 ? 'change' : 'changes'} (seq ${firstSeq} to ${lastSeq}, ${since}) in ${took}\nlast hash ${lastHash}\n`,
    )
  }
  return broken === null ? EXIT.done : EXIT.refused
}
