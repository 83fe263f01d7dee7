/**
 * What of a damaged audit is kept: the events without a gap up to the last one that the state knows of. What comes after
 * is brought forth anew by the log, as far as that is left; what comes before a gap stays in the damaged copy.
 */
import type { Volume } from '../ports/index.js'
import { NO_HASH } from './chain.js'
import { cutAfter } from './cutsegment.js'
import { Filling } from './filling.js'
import { FIRST_LIVE, KIND, seqKey } from './keys.js'
import type { Marker } from './marker.js'
import type { Salvage } from './salvage.js'
import { encodeBlock, namesIn, OpenBlock } from './segments.js'

export interface AuditPlan {
  /** Events kept: none where first > last. `from` is the first event of the first segment kept. */
  readonly from: number
  readonly first: number
  readonly last: number
  /** Of all events that verify, kept or not. */
  readonly tokenMax: number
  readonly term: number
  readonly lastMs: number
}

/** Looks at all segments. Lists what is given up. */
export async function auditPlan(salvage: Salvage, last: number): Promise<AuditPlan> {
  const { losses, marker } = salvage
  const wanted = marker?.audit.first ?? 1
  let run = { from: wanted, next: wanted, hash: '' }
  const seen = { tokenMax: 0, term: 0, lastMs: 0 }
  const gaps: [number, number][] = []
  for await (const { segment } of salvage.segments()) {
    const { head, events } = segment
    for (const { token, term, clusterMs } of events) {
      seen.tokenMax = Math.max(seen.tokenMax, token)
      seen.term = Math.max(seen.term, term)
      seen.lastMs = Math.max(seen.lastMs, clusterMs)
    }
    if (head.last < wanted || head.first > last) continue
    const begins = run.hash === '' && head.first <= wanted
    if (begins || (head.first === run.next && head.previous === run.hash)) {
      run = { from: begins ? head.first : run.from, next: head.last + 1, hash: head.hash }
      continue
    }
    gaps.push([run.next, head.first - 1])
    run = { from: head.first, next: head.last + 1, hash: head.hash }
  }
  const reaches = run.hash !== '' && run.next > last
  for (const [from, to] of gaps) if (from <= to) losses.add(`The audit events ${from} to ${to} are lost.`)
  const first = reaches ? Math.max(run.from, wanted) : last + 1
  if (!reaches && wanted <= last) losses.add(`The end of the audit, up to event ${last}, is lost.`)
  if (first > wanted) losses.add(`The audit starts at event ${first}; what is left before it is in the damaged copy.`)
  return { from: reaches ? run.from : last + 1, first, last, ...seen }
}

export async function copyAudit(salvage: Salvage, volume: Volume, plan: AuditPlan, marker: Marker): Promise<void> {
  const filling = new Filling(volume)
  const open = new OpenBlock()
  let hash = NO_HASH
  for await (const { segment, value } of salvage.segments()) {
    if (segment.head.first < plan.from || segment.head.first > plan.last) continue
    const cut = segment.head.last > plan.last ? cutAfter(segment, plan.last) : null
    const { head, events } = cut?.segment ?? segment
    const kept = cut?.value ?? value
    await filling.put(seqKey(FIRST_LIVE, KIND.segment, head.first), kept)
    open.add(
      { first: head.first, last: head.last, bytes: kept.length, names: namesIn(events) },
      head.firstMs,
      head.lastMs,
    )
    hash = Buffer.from(head.hash, 'hex')
    if (!open.full) continue
    const { key, value: row } = encodeBlock(FIRST_LIVE, open.close())
    await filling.put(key, row)
  }
  await filling.end()
  const { first, last } = plan
  Object.assign(marker.audit, { first, last, lastHash: hash, openFirst: open.first ?? last + 1 })
}
