/**
 * A digest of everything that a machine's tables hold, whatever the order of their rows. How renewals are packed into rows is a
 * machine's own business (a start packs them anew), so they count one by one.
 */
import type { StoredTable } from '@leasehold/server/machine'

const RENEWAL_FIELDS = 3

/** What counts as one, as texts. */
function* textsOf(table: StoredTable): Generator<string> {
  const renewals = new Set<string>()
  for (const [key, row] of table.rows()) {
    const fields = table.encode(row)
    if (table.name !== 'renewals') yield JSON.stringify([table.name, key, fields])
    // The same one may stand in a row more than once.
    else
      for (let at = 0; at < fields.length; at += RENEWAL_FIELDS)
        renewals.add(JSON.stringify(fields.slice(at, at + RENEWAL_FIELDS)))
  }
  yield* renewals
}

export function digestOf(tables: readonly StoredTable[]): string {
  let rows = 0
  let low = 0
  let high = 0
  for (const table of tables) {
    for (const text of textsOf(table)) {
      let a = 0x811c9dc5 | 0
      let b = 0x9e3779b9 | 0
      for (let at = 0; at < text.length; at++) {
        a = Math.imul(a ^ text.charCodeAt(at), 0x01000193)
        b = Math.imul(b ^ a, 0x85ebca6b) ^ (b >>> 13)
      }
      rows++
      low = (low + a) | 0
      high = (high + b) | 0
    }
  }
  return [rows, low >>> 0, high >>> 0].map((part) => part.toString(16)).join('.')
}
