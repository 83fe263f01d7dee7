/**
 * The members of the cluster as far as the state must know them: which run of a member's process is the current one, and
 * which of its batches was the last. This is what makes a batch execute at most once: its origin may send it again,
 * through whichever leader, for as long as it is in doubt.
 *
 * A batch of a run that is over, or that does not come after the last one, must never be executed.
 */
import type { AdmitRun, Run } from '@leasehold/protocol'
import type { Row } from './changes.js'
import type { Entry } from './entry.js'
import { laterFormat } from './fields.js'
import type { MachineLimits } from './limits.js'
import type { MetaTable } from './meta.js'
import { type Codec, Table } from './table.js'

export interface Member extends Row {
  readonly id: string
  /** Of the process that was admitted last. */
  run: number
  /** What that process was admitted under. */
  nonce: string
  /** The number of its last executed batch; 0 before any. Only grows within a run. */
  batch: number
  url: string
  peerUrl: string
  /** The newest format that process knows. */
  formatMax: number
}

/** A member as readers see it. */
export interface MemberView {
  readonly id: string
  readonly run: Run
  readonly nonce: string
  readonly batch: number
  readonly url: string
  readonly peerUrl: string
  /** The newest format that its process knows. */
  readonly formatMax: number
}

const codec: Codec<Member> = {
  name: 'members',
  keyOf: (member) => member.id,
  encode: (m) => [m.run, m.nonce, m.batch, m.url, m.peerUrl, ...laterFormat(m.formatMax)],
  decode: (id, fields) => ({
    saved: 0,
    change: -1,
    id,
    run: fields.int(),
    nonce: fields.text(),
    batch: fields.int(),
    url: fields.text(),
    peerUrl: fields.text(),
    formatMax: fields.laterFormat(),
  }),
}

export class Members {
  readonly table = new Table(codec)
  readonly #limits: MachineLimits
  readonly #meta: MetaTable

  constructor(limits: MachineLimits, meta: MetaTable) {
    this.#limits = limits
    this.#meta = meta
  }

  get(id: string): Member | undefined {
    return this.table.get(id)
  }
  get full(): boolean {
    return this.table.size >= this.#limits.membersMax
  }

  /** Whether the entry's commands are to be executed; if so, its batch is the last one now. */
  takes(entry: Entry): boolean {
    if (entry.batch === 0) return true
    const member = this.table.get(entry.member)
    if (member === undefined || member.run !== entry.run || entry.batch <= member.batch) return false
    member.batch = entry.batch
    this.table.touch(member)
    return true
  }

  /** A new run of this member. */
  admit({ member: id, nonce, url, peerUrl, formatMax }: AdmitRun): Member {
    const run = ++this.#meta.row.runs
    const known = this.table.get(id)
    if (known === undefined) {
      const member: Member = { saved: 0, change: -1, id, run, nonce, batch: 0, url, peerUrl, formatMax }
      this.table.insert(id, member)
      return member
    }
    Object.assign(known, { run, nonce, batch: 0, url, peerUrl, formatMax })
    this.table.touch(known)
    return known
  }

  /** The member must be there. */
  forget(id: string): void {
    this.table.remove(id, this.table.get(id)!)
  }

  views(): readonly MemberView[] {
    const views: MemberView[] = []
    for (const { id, run, nonce, batch, url, peerUrl, formatMax } of this.table.values())
      views.push({ id, run: run as Run, nonce, batch, url, peerUrl, formatMax })
    return views.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}
