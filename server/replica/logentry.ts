/**
 * An entry as the consensus core carries it: the machine's entry, and what the core must know of it. The latter is derived
 * from the entry itself, so that nothing of it is stored or sent.
 */
import type { Entry } from '../machine/index.js'
import type { LogEntry } from '../raft/index.js'

export interface ReplicaEntry extends Entry, LogEntry {}
