/**
 * The bounds of the consensus core, as one value, so that tests can make them small. Members may run with different ones:
 * nothing that is replicated depends on them.
 */
export interface RaftLimits {
  /** A leader sends heartbeats this often. */
  readonly heartbeatTicks: number
  /** Silence of a leader, or of a quorum, that counts as its loss. Within it, voters stay loyal to their leader. */
  readonly electionTicksMin: number
  /** Election timeouts are drawn from [min, max] at every reset. */
  readonly electionTicksMax: number
  /** First campaign after the link to the leader closed: drawn from [1, this]; doubled with each election lost. */
  readonly hasteTicksMax: number
  /** Entries of one append. At least one always travels. */
  readonly appendBytesMax: number
  readonly appendEntriesMax: number
  /** What one follower may be sent before it has acknowledged any of it. */
  readonly windowBytesMax: number
  readonly windowMessagesMax: number
  /** What a leader takes before some of it is committed. */
  readonly uncommittedBytesMax: number
  /** Entries kept in memory. What is not yet durable and committed is kept beyond it. */
  readonly tailBytesMax: number
  readonly tailEntriesMax: number
  /** Reads that wait for an answer, each of own and others' ones. */
  readonly readsMax: number
  /** Terms and indexes above it are no peer's but garbage. */
  readonly numberMax: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const RAFT_LIMITS: RaftLimits = {
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  hasteTicksMax: 3,
  appendBytesMax: 512 * KIB,
  appendEntriesMax: 1_024,
  windowBytesMax: 4 * MIB,
  windowMessagesMax: 64,
  uncommittedBytesMax: 16 * MIB,
  tailBytesMax: 32 * MIB,
  tailEntriesMax: 16_384,
  readsMax: 4_096,
  numberMax: 2 ** 48,
}

/** Throws RangeError where the limits disagree. */
export function assertRaftLimits(l: RaftLimits): void {
  const relations: [boolean, string][] = [
    [l.heartbeatTicks >= 1, 'heartbeats have a period'],
    [2 * l.heartbeatTicks < l.electionTicksMin, 'one lost heartbeat is no lost leader'],
    [l.electionTicksMin < l.electionTicksMax, 'election timeouts differ'],
    [l.hasteTicksMax >= 1 && l.hasteTicksMax < l.electionTicksMin, 'a closed link is noticed sooner than silence'],
    [l.appendEntriesMax >= 1 && l.appendBytesMax >= 1, 'an append carries something'],
    [l.windowMessagesMax >= 1 && l.appendBytesMax <= l.windowBytesMax, 'a full append fits into the window'],
    [l.uncommittedBytesMax >= l.appendBytesMax, 'a full append may be proposed'],
    [2 * l.uncommittedBytesMax <= l.tailBytesMax, 'followers that keep up are served from memory'],
    [l.appendEntriesMax <= l.tailEntriesMax, 'an append fits into memory'],
    [l.readsMax >= 1, 'reads are possible'],
    [l.numberMax < Number.MAX_SAFE_INTEGER, 'numbers stay exact'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`limits disagree: ${claim}`)
}
