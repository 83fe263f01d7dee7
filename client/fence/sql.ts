/**
 * The fence as SQL: statements that write only where no higher token has written before, so that check and write are one
 * atomic step of the database. No row touched means: fenced (or, for an UPDATE, no such row). Texts are parameterised;
 * identifiers are checked and quoted. Made for PostgreSQL and SQLite.
 */
import { LeaseholdError } from '../errors.js'
import { checkedToken } from './fence.js'

export type SqlValue = string | number | bigint | boolean | null | Uint8Array

export interface SqlStatement {
  readonly text: string
  readonly values: readonly SqlValue[]
}

export interface SqlFenceOptions {
  readonly table: string
  /** The columns that name one row. */
  readonly key: readonly string[]
  /** The column that keeps the highest token: a BIGINT, NULL while nobody has written. `fencing_token` by default. */
  readonly tokenColumn?: string
  /** How parameters are written: `?` (SQLite) or `$1` (PostgreSQL). `?` by default. */
  readonly parameters?: '?' | '$'
}

type Row = Readonly<Record<string, SqlValue>>

export interface SqlFence {
  /** UPDATE of `set` where the key columns have these values and no higher token has written. */
  update(key: Row, set: Row, token: number): SqlStatement
  /** INSERT of key and columns; on a conflict of the key, an update under the same condition. */
  upsert(key: Row, set: Row, token: number): SqlStatement
  /** DELETE under the same condition. */
  remove(key: Row, token: number): SqlStatement
  /** The condition alone, for statements of one's own; `first` is the number of its parameter where they are numbered. */
  predicate(token: number, first?: number): SqlStatement
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

/** Throws INVALID_ARGUMENT for an identifier that is not letters, digits and underscores. */
export function sqlFence(options: SqlFenceOptions): SqlFence {
  const table = quoted(options.table)
  const tokenName = options.tokenColumn ?? 'fencing_token'
  const column = quoted(tokenName)
  const numbered = options.parameters === '$'
  if (options.key.length === 0) throw wrong('key must name at least one column')
  const keyNames = new Set(options.key)

  /** Collects values and writes their places. */
  const statement = (write: (place: (value: SqlValue) => string) => string): SqlStatement => {
    const values: SqlValue[] = []
    const place = (value: SqlValue) => {
      values.push(value)
      return numbered ? `$${values.length}` : '?'
    }
    return { text: write(place), values }
  }
  const where = (key: Row, place: (value: SqlValue) => string) =>
    checkedKey(key)
      .map((name) => `${quoted(name)} = ${place(key[name]!)}`)
      .join(' AND ')
  const open = (subject: string, token: string) => `(${subject} IS NULL OR ${subject} <= ${token})`
  const checkedKey = (key: Row): string[] => {
    const names = Object.keys(key)
    if (names.length !== keyNames.size || names.some((name) => !keyNames.has(name)))
      throw wrong(`the key has the columns ${options.key.join(', ')}, not ${names.join(', ')}`)
    return names
  }
  const checkedSet = (set: Row): string[] => {
    const names = Object.keys(set)
    const taken = names.find((name) => keyNames.has(name) || name === tokenName)
    if (taken !== undefined) throw wrong(`${taken} is set by the fence itself`)
    return names
  }

  return {
    predicate(token, first = 1) {
      const place = numbered ? `$${first}` : '?'
      return { text: open(column, place), values: [checkedToken(token)] }
    },
    update: (key, set, token) =>
      statement((place) => {
        const changes = checkedSet(set).map((name) => `${quoted(name)} = ${place(set[name]!)}`)
        changes.push(`${column} = ${place(checkedToken(token))}`)
        return `UPDATE ${table} SET ${changes.join(', ')} WHERE ${where(key, place)} AND ${open(column, place(token))}`
      }),
    upsert: (key, set, token) =>
      statement((place) => {
        const row: Row = { ...key, ...set, [tokenName]: checkedToken(token) }
        const changed = [...checkedSet(set), tokenName].map((name) => `${quoted(name)} = excluded.${quoted(name)}`)
        const target = checkedKey(key).map(quoted).join(', ')
        const names = Object.keys(row).map(quoted).join(', ')
        const places = Object.values(row).map(place).join(', ')
        const condition = open(`${table}.${column}`, `excluded.${column}`)
        return `INSERT INTO ${table} (${names}) VALUES (${places}) ON CONFLICT (${target}) DO UPDATE SET ${changed.join(', ')} WHERE ${condition}`
      }),
    remove: (key, token) =>
      statement(
        (place) => `DELETE FROM ${table} WHERE ${where(key, place)} AND ${open(column, place(checkedToken(token)))}`,
      ),
  }
}

function quoted(name: string): string {
  if (!IDENTIFIER.test(name)) throw wrong(`${JSON.stringify(name)} is no identifier of letters, digits and underscores`)
  return `"${name}"`
}

function wrong(detail: string): LeaseholdError {
  return new LeaseholdError('INVALID_ARGUMENT', detail, { executed: 'no' })
}
