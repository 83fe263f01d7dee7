/**
 * Whether a message can be what a correct peer sent: numbers are whole and in range, entries follow one another. What is not
 * is ignored, so that garbage never reaches the log's invariants.
 */
import type { RaftLimits } from './limits.js'
import { type Append, type LogEntry, MESSAGE, type Message } from './types.js'

const within = (n: number, max: number) => Number.isSafeInteger(n) && n >= 0 && n <= max
const isFlag = (value: unknown) => typeof value === 'boolean'

export function isSound<E extends LogEntry>(message: Message<E>, limits: RaftLimits): boolean {
  const max = limits.numberMax
  const m = message
  // Nobody leads or campaigns in term 0. A peer that was never formed may refuse from there.
  if (!within(m.term, max) || (m.term === 0 && m.kind !== MESSAGE.preVoteReply)) return false
  switch (m.kind) {
    case MESSAGE.append:
      return within(m.commit, max) && follows(m, max)
    case MESSAGE.appendReply:
      return isFlag(m.accepted) && within(m.index, max) && within(m.hintIndex, max) && within(m.hintTerm, max)
    case MESSAGE.heartbeat:
      return within(m.commit, max) && within(m.round, max)
    case MESSAGE.heartbeatReply:
      return within(m.round, max)
    case MESSAGE.preVote:
    case MESSAGE.vote:
      return within(m.lastIndex, max) && within(m.lastTerm, m.term) && isFlag(m.transfer)
    case MESSAGE.preVoteReply:
    case MESSAGE.voteReply:
      return isFlag(m.granted) && within(m.commit, max) && within(m.commitTerm, max)
    case MESSAGE.snapshot:
      return within(m.index, max) && within(m.lastTerm, m.term)
    case MESSAGE.snapshotReply:
      return isFlag(m.installed) && within(m.index, max)
    case MESSAGE.readIndex:
      return within(m.read, Number.MAX_SAFE_INTEGER)
    case MESSAGE.readIndexReply:
      return within(m.read, Number.MAX_SAFE_INTEGER) && within(m.index, max)
    case MESSAGE.reminder:
      return within(m.index, max) && m.index > 0 && within(m.entryTerm, m.term)
    case MESSAGE.lost:
      return within(m.index, max)
    case MESSAGE.timeoutNow:
      return true
    default:
      return false
  }
}

/** Entries continue what they claim to follow, and terms never go back nor beyond the leader's. */
function follows<E extends LogEntry>({ term, previousIndex, previousTerm, entries }: Append<E>, max: number): boolean {
  if (!within(previousIndex, max) || !within(previousTerm, term) || !Array.isArray(entries)) return false
  let last: number = previousTerm
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!
    if (entry.index !== previousIndex + 1 + i || !within(entry.term, term) || entry.term < last) return false
    last = entry.term
  }
  // Index 0 has term 0, and no entry has.
  return previousIndex > 0 ? previousTerm > 0 : previousTerm === 0 && (entries.length === 0 || entries[0]!.term > 0)
}
