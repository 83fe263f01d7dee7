/** What storage does with a machine's tables, as a Map: takes what changed, and loads it into a new one. */
import { Machine, type MachineLimits } from '@leasehold/server/machine'
import { must } from './judge.js'

interface Stored {
  readonly table: string
  readonly key: string
  readonly fields: readonly unknown[]
  readonly saved: number
}

/** Where a lease's end and its count of renewals stand among the fields of its row. */
const RENEWED_FIELDS = [6, 8]

/**
 * Whether the stored row says what the row says. Of a renewed lease's end and renewals a row of renewals is believed, and
 * such a row may say more: of leases that stand elsewhere by now.
 */
function says(table: string, stored: readonly unknown[], fields: readonly unknown[], row: object): boolean {
  if (table === 'renewals') {
    const triples = (all: readonly unknown[]) =>
      all.flatMap((_, i) => (i % 3 === 0 ? [all.slice(i, i + 3).join()] : []))
    const there = new Set(triples(stored))
    return triples(fields).every((triple) => there.has(triple))
  }
  const passed = 'renewed' in row && row.renewed !== -1 ? RENEWED_FIELDS : []
  const known = (all: readonly unknown[]) => JSON.stringify(all.map((field, at) => (passed.includes(at) ? 0 : field)))
  return known(stored) === known(fields)
}

export class Disk {
  readonly #rows = new Map<string, Stored>()
  #writes = 0

  /** Takes the changes of all tables. Throws where a table breaks its contract with storage. */
  checkpoint(machine: Machine): void {
    for (const table of machine.tables) {
      const seen = new Set<string>()
      must(table.changeCount >= 0, 'changes are counted')
      const storedCount = table.storedChangeCount
      const changes = table.takeChanges()
      must(storedCount === changes.filter(({ row }) => row.saved !== 0).length, 'of them, those on disk')
      must(table.changeCount + table.storedChangeCount === 0, 'changes are handed over once')
      for (const { key, row, removed } of changes) {
        must(!seen.has(key), `a key is handed over once: ${table.name}/${key}`)
        seen.add(key)
        const at = `${table.name}/${key}`
        must(row.saved === (this.#rows.get(at)?.saved ?? 0), `a row knows what is on disk: ${at}`)
        if (removed) must(this.#rows.delete(at), `only what is on disk is removed: ${at}`)
        else {
          row.saved = ++this.#writes
          const fields = structuredClone(table.encode(row))
          this.#rows.set(at, { table: table.name, key, fields, saved: row.saved })
        }
      }
      const here = [...this.#rows.values()].filter((row) => row.table === table.name)
      must(here.length === table.size, `the disk has the rows of ${table.name}`)
      for (const [key, row] of table.rows()) {
        const stored = this.#rows.get(`${table.name}/${key}`)
        must(stored !== undefined && stored.saved === row.saved, `the disk has ${table.name}/${key}`)
        must(says(table.name, stored!.fields, table.encode(row), row), `as it is: ${table.name}/${key}`)
      }
    }
  }

  load(limits: Partial<MachineLimits>, formatMax?: number): Machine {
    const machine = new Machine(limits, formatMax)
    const rows = [...this.#rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    for (const { table, key, fields, saved } of rows) {
      machine.tables.find((one) => one.name === table)!.load(key, fields, saved)
    }
    return machine
  }
}
