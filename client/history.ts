/** Reading the audit, page by page, as far as it goes at the moment. */
import {
  chainedFromFields,
  checkLimit,
  checkName,
  checkPrefix,
  type HistoryFields,
  LIMITS,
  OP,
} from '@leasehold/protocol'
import { ask, isOk, outcomeError } from './ask.js'
import type { Core } from './core.js'
import { refusedHere } from './errors.js'
import { timeoutOf } from './reads.js'
import type { HistoryOptions, HistoryPage } from './types.js'

/** Pages until the end of what is there now. Throws CURSOR_COMPACTED where it cannot go on from `after`. */
export async function* history(core: Core, options: HistoryOptions): AsyncGenerator<HistoryPage, void, undefined> {
  let after = options.after ?? null
  const checked = check(core, options)
  for (;;) {
    const cursor = after
    const page = await ask<HistoryPage>(
      core,
      {
        op: OP.history,
        body: () => [checked.name, checked.prefix, cursor, checked.limit],
        read: (code, fields) => {
          if (!isOk(code)) throw outcomeError(code, fields)
          const [events, next] = fields as HistoryFields
          return { events: events.map(chainedFromFields), next }
        },
      },
      { signal: options.signal, timeoutMs: checked.timeoutMs },
    )
    yield page
    if (page.next === null || page.next === after) return
    after = page.next
  }
}

function check(core: Core, options: HistoryOptions) {
  try {
    return {
      name: options.name === undefined ? null : checkName(options.name, 'name'),
      prefix: options.prefix === undefined ? null : checkPrefix(options.prefix, 'prefix'),
      limit: checkLimit(options.limit ?? LIMITS.pageDefault),
      timeoutMs: timeoutOf(core, options),
    }
  } catch (error) {
    throw refusedHere(error)
  }
}
