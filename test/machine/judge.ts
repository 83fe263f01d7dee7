/** Invariants of what a machine tells, judged from its replies and events alone, without a model. */
import { type AuditEvent, type Command, OK, OP } from '@leasehold/protocol'
import type { Applied, Entry } from '@leasehold/server/machine'

export class Judge {
  /** The live token of each name, as the events have it. */
  readonly #live = new Map<string, number>()
  readonly #waiters = new Set<number>()
  /** Ends of grants, as replies have promised them. */
  readonly #endMs = new Map<number, number>()
  /** The last counted batch of each member. */
  readonly #batches = new Map<string, { run: number; batch: number }>()
  #newest = 0
  #seq = 0

  /** Throws for what must never happen. */
  check(entry: Entry, applied: Applied, horizonMs: number): void {
    const { replies, settled, events } = applied
    must(replies.length === (applied.executed ? entry.commands.length : 0), 'every executed command has a reply')
    if (applied.executed && entry.batch > 0) this.#batch(entry)
    must(horizonMs <= entry.timeMs, 'the horizon is never ahead of time')
    for (const event of events) this.#event(event, entry, horizonMs)
    const commands = applied.executed ? entry.commands : []
    for (const [at, command] of commands.entries()) this.#promise(command, applied, at, entry.timeMs)
    for (const { reply, waiter } of applied.settled) {
      must(this.#waiters.delete(waiter), 'each waiter is settled once')
      must(reply.code !== OK, 'a waiter is never granted, only offered')
    }
    for (const { waiter } of settled) must(!this.#waiters.has(waiter), 'a settled waiter waits no more')
  }

  get waiters(): number {
    return this.#waiters.size
  }

  /** `entry` is a counted batch that was executed. */
  #batch({ member, run, batch }: Entry): void {
    const last = this.#batches.get(member) ?? { run: 0, batch: 0 }
    must(run >= last.run, 'no batch of an old run is executed')
    must(run > last.run || batch > last.batch, 'no batch is executed twice, or after a later one')
    this.#batches.set(member, { run, batch })
  }

  #event(event: AuditEvent, entry: Entry, horizonMs: number): void {
    const { type, name, token } = event
    must(event.seq === ++this.#seq, 'the audit has no gap')
    must(event.clusterMs === entry.timeMs && event.term === entry.term, 'an event has the stamp of its entry')
    const live = this.#live.get(name)
    if (type === 'granted' && event.cause === 'claim') must(live === token, 'what is claimed is the live offer')
    else if (type === 'granted' || type === 'offered') {
      must(live === undefined, 'at most one live grant a name')
      must(token > this.#newest, 'tokens only grow')
      this.#newest = token
      this.#live.set(name, token)
    } else {
      must(live === token, 'only a live grant ends')
      this.#live.delete(name)
      const endMs = this.#endMs.get(token)
      if (type === 'expired' && endMs !== undefined) must(endMs <= horizonMs, 'nothing expires before its end')
    }
  }

  #promise(command: Command, applied: Applied, at: number, nowMs: number): void {
    const { code, fields } = applied.replies[at]!
    if (command.op !== OP.acquire && command.op !== OP.renew) return
    if (code === 2) this.#waiters.add(Number(fields[0]))
    if (code !== OK) return
    const [token, ttlMs, remainingMs] = fields.map(Number)
    must(remainingMs! <= ttlMs!, 'no promise is longer than the ttl')
    this.#endMs.set(token!, Math.max(this.#endMs.get(token!) ?? 0, nowMs + remainingMs!))
  }
}

export function must(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`broken: ${claim}`)
}
