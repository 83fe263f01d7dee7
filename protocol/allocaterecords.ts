/**
 * Draws as the log and the links between members hold them: flat, so that an entry stays an array of plain values.
 *
 *   draw       [member, run, seq, reports, then quota, tab, spent, returned of each,
 *               wants, then quota, claims, then tokens, weight of each claim]
 *   allocate   [71, draws, then each draw]
 */
import { run } from './brands.js'
import { checkCount, checkInteger, checkNatural, checkText } from './checks.js'
import type { Allocate, Claim, Draw, TabReport, Want } from './commands.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { INTERNAL_OP } from './ops.js'

type Field = string | number

export function allocateFields({ op, draws }: Allocate): readonly Field[] {
  const fields: Field[] = [op, draws.length]
  for (const draw of draws) pushDraw(fields, draw)
  return fields
}

/** Throws ProtocolError for what is no allocate of this version. */
export function allocateOfFields(f: readonly unknown[]): Allocate {
  const reader = new Reader(f, 1)
  const draws = reader.list(() => drawAt(reader))
  checkCount(f, reader.at, 'allocate')
  return { op: INTERNAL_OP.allocate, draws }
}

export function drawFields(draw: Draw): readonly Field[] {
  const fields: Field[] = []
  pushDraw(fields, draw)
  return fields
}

/** Of another member: within its bounds; what a later version has behind it is passed over. Throws ProtocolError for what is no draw. */
export function drawOfFields(f: readonly unknown[]): Draw {
  const draw = drawAt(new Reader(f, 0))
  const { drawQuotasMax, drawClaimsMax, drawRowsMax } = LIMITS
  const most = draw.wants.reduce((sum, { claims }) => Math.max(sum, claims.length), 0)
  if (draw.reports.length > drawQuotasMax || draw.wants.length > drawQuotasMax || most > drawClaimsMax) {
    throw new ProtocolError(
      'TOO_LARGE',
      `a draw has at most ${drawQuotasMax} quotas, and ${drawClaimsMax} claims on each`,
    )
  }
  if (rowsOf(draw) > drawRowsMax) throw new ProtocolError('TOO_LARGE', `a draw has at most ${drawRowsMax} rows`)
  return draw
}

/** Reports, wants and claims. */
export function rowsOf({ reports, wants }: Draw): number {
  return wants.reduce((sum, { claims }) => sum + 1 + claims.length, reports.length)
}

function pushDraw(fields: Field[], { member, run, seq, reports, wants }: Draw): void {
  fields.push(member, run, seq, reports.length)
  for (const { quota, tab, spent, returned } of reports) fields.push(quota, tab, spent, returned)
  fields.push(wants.length)
  for (const { quota, claims } of wants) {
    fields.push(quota, claims.length)
    for (const [tokens, weight] of claims) fields.push(tokens, weight)
  }
}

function drawAt(reader: Reader): Draw {
  return {
    member: reader.text('member'),
    run: run(reader.natural('run')),
    seq: reader.natural('seq'),
    reports: reader.list(
      (): TabReport => ({
        quota: reader.text('quota'),
        tab: reader.natural('tab'),
        spent: reader.natural('spent'),
        returned: reader.natural('returned'),
      }),
    ),
    wants: reader.list(
      (): Want => ({
        quota: reader.text('quota'),
        claims: reader.list((): Claim => [reader.natural('tokens'), reader.positive('weight')]),
      }),
    ),
  }
}

class Reader {
  readonly #fields: readonly unknown[]
  at: number

  constructor(fields: readonly unknown[], at: number) {
    this.#fields = fields
    this.at = at
  }

  text(field: string): string {
    return checkText(this.#fields[this.at++], field)
  }
  natural(field: string): number {
    return checkNatural(this.#fields[this.at++], field)
  }
  positive(field: string): number {
    return checkInteger(this.#fields[this.at++], field, 1, Number.MAX_SAFE_INTEGER)
  }
  list<T>(item: () => T): readonly T[] {
    const items: T[] = []
    for (let left = this.natural('count'); left > 0; left--) {
      if (this.at >= this.#fields.length) throw new ProtocolError('INVALID_ARGUMENT', 'a draw ends too early')
      items.push(item())
    }
    return items
  }
}
