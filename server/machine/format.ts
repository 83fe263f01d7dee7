/**
 * Which format is in use: the newest one that the last admitted process of every member of the configuration knows, and never less
 * than before. It is a function of the state, raised by the entry that completes it (an admission, a change of the members), so
 * every member is at the same format at the same entry. What is new in it must not be written in front of that entry.
 */
import { FIRST_FORMAT, memberOf, peersOf } from '@leasehold/protocol'
import type { State } from './state.js'

/** Throws where this version is too old for what the cluster uses. */
export function checkKnown(format: number, formatMax: number): void {
  if (format <= formatMax) return
  throw new RangeError(
    `the cluster uses format ${format}, and this version of Leasehold knows formats up to ${formatMax}: start the newer version`,
  )
}

/** To be called where a member was admitted, or the configuration has changed. */
export function raiseFormat(state: State): void {
  const configuration = state.configuration.current
  if (configuration === null) return
  let known = Number.MAX_SAFE_INTEGER
  for (const peer of peersOf(configuration)) {
    // Of who has not been admitted nobody knows anything.
    known = Math.min(known, state.members.get(memberOf(peer))?.formatMax ?? FIRST_FORMAT)
  }
  const meta = state.meta.row
  if (known <= meta.format) return
  checkKnown(known, state.meta.formatMax)
  meta.format = known
}
