/**
 * The entry that every directory of a new cluster begins with: it names the members, is the same bytes in each of them, and is
 * committed by definition.
 */
import { type Configuration, clusterMs, INTERNAL_OP, logIndex, run, term, wallMs } from '@leasehold/protocol'
import type { Entry } from './entry.js'

export function foundingEntry(configuration: Configuration): Entry {
  return {
    term: term(1),
    index: logIndex(1),
    timeMs: clusterMs(0),
    wallMs: wallMs(0),
    member: '',
    run: run(0),
    batch: 0,
    commands: [{ op: INTERNAL_OP.configure, configuration }],
  }
}
