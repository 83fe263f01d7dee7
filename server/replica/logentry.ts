/**
 * An entry as the consensus core carries it: the machine's entry, and what the core must know of it. The latter is derived
 * from the entry itself, so that nothing of it is stored or sent.
 */
import {
  type ClusterMs,
  type Command,
  encodeCommands,
  INTERNAL_OP,
  type LogIndex,
  logIndex,
  type Term,
} from '@leasehold/protocol'
import type { Entry } from '../machine/index.js'
import type { LogEntry } from '../raft/index.js'
import type { Draft } from './log.js'

export interface ReplicaEntry extends Entry, LogEntry {
  /** Until it is applied; then its body says all of it. */
  commands: readonly Command[]
  readonly body: Uint8Array
}

/** Besides its body, about. */
const HEAD_BYTES = 96

export function carried(entry: Entry): ReplicaEntry {
  return placed(entry, entry.term, entry.index)
}

function placed(draft: Draft, term: Term, index: LogIndex): ReplicaEntry {
  const { timeMs, wallMs, member, run, batch, commands } = draft
  const body = draft.body ?? encodeCommands(commands)
  const bytes = body.length + HEAD_BYTES
  return { term, index, timeMs, wallMs, member, run, batch, commands, body, bytes, reconfigures: reconfigures(draft) }
}

/** Of entries that are not applied yet. */
export function commandsOf(entries: readonly ReplicaEntry[]): number {
  let count = 0
  for (const entry of entries) count += entry.commands.length
  return count
}

/** The entries that a leader makes of these, from `first` on. Throws where a stamp is below the one before it. */
export function entered(
  drafts: readonly Draft[],
  term: Term,
  first: LogIndex,
  lastTimeMs: ClusterMs,
): readonly ReplicaEntry[] {
  let timeMs = lastTimeMs
  return drafts.map((draft, i) => {
    if (draft.timeMs < timeMs) throw new Error('cluster time never goes back')
    timeMs = draft.timeMs
    return placed(draft, term, logIndex(first + i))
  })
}

const APPLIED: readonly Command[] = []

/**
 * The entry was applied: what stays in memory for followers that lag is its body. A million commands as objects would be the heap's
 * largest part, and outlive every collection.
 */
export function spent(entry: ReplicaEntry): void {
  entry.commands = APPLIED
}

/** Only a leader speaks for the cluster, and never in a counted batch. */
export function reconfigures({ batch, commands }: Pick<Entry, 'batch' | 'commands'>): boolean {
  return batch === 0 && commands.some((command) => command.op === INTERNAL_OP.configure)
}
