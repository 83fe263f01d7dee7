/**
 * What one member's process has drawn from one quota. What it has neither spent nor returned may still be spent somewhere, until the tab's end;
 * afterwards it counts as spent.
 */
import type { Row } from './changes.js'
import type { Due } from './due.js'
import type { Codec } from './table.js'

export interface Tab extends Row, Due {
  readonly quota: string
  readonly member: string
  readonly run: number
  /** The draw that opened it. */
  readonly tab: number
  /** Breaks ties of equal ends. Unique. */
  readonly serial: number
  /** Tokens, cumulative: spent + returned <= drawn. */
  drawn: number
  spent: number
  returned: number
}

/** Runs are unique among all members. */
export const tabKey = (run: number, quota: string): string => `${run}/${quota}`

export const outstandingOf = ({ drawn, spent, returned }: Tab): number => drawn - spent - returned

export const tabCodec: Codec<Tab> = {
  name: 'tabs',
  keyOf: (tab) => tabKey(tab.run, tab.quota),
  encode: (t) => [t.quota, t.member, t.run, t.tab, t.serial, t.drawn, t.spent, t.returned, t.endMs],
  decode: (_key, fields) => ({
    saved: 0,
    change: -1,
    placedMs: 0,
    slot: 0,
    quota: fields.text(),
    member: fields.text(),
    run: fields.int(),
    tab: fields.int(),
    serial: fields.int(),
    drawn: fields.int(),
    spent: fields.int(),
    returned: fields.int(),
    endMs: fields.int(),
  }),
}

/** The last draw of a member's process that was executed. */
export interface Drawer extends Row {
  readonly member: string
  run: number
  /** Only grows within a run. */
  seq: number
}

export const drawerCodec: Codec<Drawer> = {
  name: 'drawers',
  keyOf: (drawer) => drawer.member,
  encode: (drawer) => [drawer.run, drawer.seq],
  decode: (member, fields) => ({ saved: 0, change: -1, member, run: fields.int(), seq: fields.int() }),
}
