/**
 * Chained events as readers get them on the session's wire: the canonical fields of the event, then the links of the
 * chain. Used by replies to history and by pushes of a watch; never by the log or the hash itself.
 */

import { eventFields, eventFromFields } from './audit.js'
import type { ChainedEvent } from './events.js'
import { ProtocolError } from './fault.js'

/** eventFields, then previousHash and hash. */
export function chainedFields(event: ChainedEvent): readonly unknown[] {
  return [...eventFields(event), event.previousHash, event.hash]
}

/** Throws ProtocolError INVALID_ARGUMENT for a shape that this version does not know. */
export function chainedFromFields(fields: readonly unknown[]): ChainedEvent {
  const previousHash = fields.at(-2)
  const hash = fields.at(-1)
  if (typeof previousHash !== 'string' || typeof hash !== 'string')
    throw new ProtocolError('INVALID_ARGUMENT', 'event: its hashes must be strings')
  return { ...eventFromFields(fields.slice(0, -2)), previousHash, hash }
}
