/**
 * The words of the consensus core: peers, configurations, messages, and what goes in and out of it. Types only.
 *
 * The core is pure and synchronous. Whoever drives it calls one of its inputs (tick, step, propose, written, ...) and then
 * takes what has come of it (messages, a write, committed entries). It never reads a clock or a disk; randomness is handed in.
 */
import type { LogIndex, Term } from '@leasehold/protocol'

/**
 * Names a peer: `memberId@directoryId`. A wiped directory is another peer, so it neither votes nor counts before a
 * configuration names it. The core compares these and knows nothing else about them.
 */
export type PeerId = string

/** Who votes and who only learns. A majority of `voters`, and of `outgoing` while there are any (joint consensus), decides. */
export interface Configuration {
  readonly voters: readonly PeerId[]
  /** The voters before the change that is under way; empty outside of one. */
  readonly outgoing: readonly PeerId[]
  readonly learners: readonly PeerId[]
}

/** What the core must know of an entry; the rest is its owner's. */
export interface LogEntry {
  readonly term: Term
  readonly index: LogIndex
  /** Carries a change of the configuration. At most one of them is ever committed and unapplied. */
  readonly reconfigures: boolean
  /** About what it takes on the wire and in memory. */
  readonly bytes: number
}

export interface HardState {
  readonly term: Term
  readonly votedFor: PeerId | null
}

export const MESSAGE = {
  preVote: 1,
  preVoteReply: 2,
  vote: 3,
  voteReply: 4,
  append: 5,
  appendReply: 6,
  heartbeat: 7,
  heartbeatReply: 8,
  /** Tells a follower that what it lacks is no longer in the log: a snapshot is on its way, outside of these messages. */
  snapshot: 9,
  snapshotReply: 10,
  timeoutNow: 11,
  readIndex: 12,
  readIndexReply: 13,
  /** Reminds a follower of what it has acknowledged in this term: its log must still hold it. */
  reminder: 14,
  /** It does not: the directory has come back older than it was. */
  lost: 15,
} as const

interface Sent {
  readonly term: Term
}

export interface PreVote extends Sent {
  readonly kind: typeof MESSAGE.preVote | typeof MESSAGE.vote
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** Campaigns because the leader asked it to: voters that hear from the leader answer all the same. */
  readonly transfer: boolean
}
export interface VoteReply extends Sent {
  readonly kind: typeof MESSAGE.preVoteReply | typeof MESSAGE.voteReply
  readonly granted: boolean
  /**
   * What the voter knows to be committed, and its term. A candidate that holds this entry knows so, too. It may have to: voters that a
   * change has removed know that it is committed and no longer lead, and those who stay cannot win without knowing it.
   */
  readonly commit: LogIndex
  readonly commitTerm: Term
}
export interface Append<E extends LogEntry> extends Sent {
  readonly kind: typeof MESSAGE.append
  readonly previousIndex: LogIndex
  readonly previousTerm: Term
  readonly commit: LogIndex
  readonly entries: readonly E[]
}
export interface AppendReply extends Sent {
  readonly kind: typeof MESSAGE.appendReply
  readonly accepted: boolean
  /** Accepted: all up to here is synced there. Refused: the `previousIndex` that was refused. */
  readonly index: LogIndex
  /** Refused: where the logs may agree at the latest, and the term there. */
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
}
export interface Heartbeat extends Sent {
  readonly kind: typeof MESSAGE.heartbeat
  /** Never above what this follower is known to have. */
  readonly commit: LogIndex
  /** Of the newest read that waits for this round; 0: none. Answered as it came. */
  readonly round: number
}
export interface HeartbeatReply extends Sent {
  readonly kind: typeof MESSAGE.heartbeatReply
  readonly round: number
}
export interface SnapshotOffer extends Sent {
  readonly kind: typeof MESSAGE.snapshot
  readonly index: LogIndex
  readonly lastTerm: Term
}
export interface SnapshotReply extends Sent {
  readonly kind: typeof MESSAGE.snapshotReply
  readonly installed: boolean
  /** Where the follower's log stands afterwards. */
  readonly index: LogIndex
}
export interface TimeoutNow extends Sent {
  readonly kind: typeof MESSAGE.timeoutNow
}
export interface ReadIndex extends Sent {
  readonly kind: typeof MESSAGE.readIndex
  /** The asker's own number of the read. */
  readonly read: number
}
export interface ReadIndexReply extends Sent {
  readonly kind: typeof MESSAGE.readIndexReply
  readonly read: number
  /** 0: not answered here (no leader, or nothing committed in its term yet): ask again. */
  readonly index: LogIndex
}

export interface Reminder extends Sent {
  readonly kind: typeof MESSAGE.reminder
  /** Acknowledged by this follower, in this term, as durable and the same as the leader's. */
  readonly index: LogIndex
  /** Of that entry; 0: no longer in the leader's log, hence committed. */
  readonly entryTerm: Term
}
export interface Lost extends Sent {
  readonly kind: typeof MESSAGE.lost
  /** That it was reminded of. */
  readonly index: LogIndex
}

export type Message<E extends LogEntry> =
  | PreVote
  | VoteReply
  | Append<E>
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | SnapshotOffer
  | SnapshotReply
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | Reminder
  | Lost

export interface Addressed<E extends LogEntry> {
  readonly to: PeerId
  readonly message: Message<E>
}

/**
 * What is to be made durable together. Only one write is under way at a time; meanwhile the next one gathers. `replies` (votes,
 * requests for votes, acknowledgements) leave only once it is durable.
 */
export interface Write<E extends LogEntry> {
  /** Null where it has not changed. */
  readonly hardState: HardState | null
  /** In order; the first one may replace a suffix of the log. */
  readonly entries: readonly E[]
  readonly replies: readonly Addressed<E>[]
}

/**
 * Entries that are not in memory and that a follower lacks: read them, and hand them to `fetched` (at least one; fewer than asked
 * for is fine), or say `fetchFailed`. Each fetch is answered by one of the two.
 */
export interface Fetch {
  /**
   * A follower; or this peer itself: entries that were on disk at the start are not in memory, and once they are committed they
   * are fetched for takeCommitted in this way.
   */
  readonly to: PeerId
  readonly from: LogIndex
  /** Inclusive. */
  readonly through: LogIndex
  readonly bytesMax: number
}

/** A read may be served once this much is applied. */
export interface ReadState {
  readonly read: number
  /** 0: it was refused, ask again later. */
  readonly index: LogIndex
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** What a follower had acknowledged and its directory no longer holds. */
export interface LostWord {
  /** In its term. */
  readonly leader: PeerId
  readonly term: Term
  readonly index: LogIndex
}

export interface RaftStatus {
  readonly id: PeerId
  readonly role: Role
  readonly term: Term
  readonly leader: PeerId | null
  readonly commit: LogIndex
  /** Of the log as it is kept: lastIndex + 1 where it is empty. */
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly configuration: Configuration
  /**
   * Null in every directory that was not put back to an older state of itself. Otherwise this peer takes no part any more: it neither votes
   * nor acknowledges nor campaigns, and says so to whoever reminds it. It must end.
   */
  readonly lost: LostWord | null
  /** Of a leader: where each peer stands. */
  readonly progress: readonly PeerProgress[]
}

export interface PeerProgress {
  readonly peer: PeerId
  /** lost: it said that its directory is behind what it acknowledged; it counts for nothing. */
  readonly state: 'probe' | 'replicate' | 'snapshot' | 'lost'
  readonly match: LogIndex
  readonly next: LogIndex
  readonly active: boolean
}

/** What a core starts from: what is on disk. */
export interface RaftStart {
  readonly id: PeerId
  readonly hardState: HardState
  /** As of `applied`. */
  readonly configuration: Configuration
  /** Of the log on disk; first - 1 = last where it is empty. */
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  /** For each term with entries in [firstIndex - 1, lastIndex]: its first index there, in order. Index 0 has term 0. */
  readonly terms: readonly { readonly term: Term; readonly from: LogIndex }[]
  /** Applied, hence committed. At least firstIndex - 1. */
  readonly applied: LogIndex
  /** Known to be committed. At least `applied`; 1 in a directory that was just formed, whose first entry is committed by definition. */
  readonly commit: LogIndex
  /**
   * Which entries in (applied, lastIndex] change the configuration, in order. A second one proves that the first is committed;
   * without knowing it, a restarted member could campaign among voters that are long replaced.
   */
  readonly reconfigurations: readonly LogIndex[]
  /** Uniform in [0, 1): redraws election timeouts. */
  readonly random: () => number
}

/** The seam of raft/. Inputs never throw for what a peer sent; they throw where the owner breaks the contract. */
export interface RaftCore<E extends LogEntry> {
  /** A live view: what must outlast the next input is to be copied. */
  readonly status: RaftStatus
  /** Of a leader: a quorum has answered within an election timeout. Time may be gathered only while it is true. */
  readonly quorumFresh: boolean
  /** Of a leader: how many bytes of entries may still be proposed before some are committed; negative where it is overdrawn. */
  readonly roomBytes: number
  /**
   * Of a leader: while it is true, a follower learns what is committed with the next entries, a heartbeat, or the answer to its read, and
   * not at once: fewer messages, where more entries follow soon. False at first.
   */
  holdsNotices: boolean
  /** Of a leader: an entry that reconfigures may be proposed now; propose throws otherwise. */
  readonly mayReconfigure: boolean

  // inputs
  tick(): void
  step(from: PeerId, message: Message<E>): void
  /**
   * The link to a peer closed: it counts as silent at once. A follower that loses its leader so campaigns within a few ticks.
   * A link that nothing was said of is taken to be up.
   */
  linkDown(peer: PeerId): void
  linkUp(peer: PeerId): void
  /** Leaders only: entries that continue the log in this term. Throws elsewhere. */
  propose(entries: readonly E[]): void
  /**
   * Asks for a read of what is committed now: own number, growing, and not used by an earlier process of this peer (a late answer to
   * that one would be taken for this one's). The answer comes through takeReads().
   */
  readIndex(read: number): void
  /** The write that was taken is durable. */
  written(): void
  fetched(to: PeerId, entries: readonly E[]): void
  /** What could not be fetched is no longer there: the follower needs a snapshot. */
  fetchFailed(to: PeerId): void
  /** Entries up to here were applied; a configuration that one of them made is handed in before. */
  applied(index: LogIndex): void
  reconfigured(configuration: Configuration): void
  /** The log was trimmed on disk: entries below `first` are gone. */
  trimmed(first: LogIndex): void
  /** Ask before a snapshot is installed: false where it would take away what the log holds, or bring nothing. */
  needsSnapshot(index: LogIndex, term: Term): boolean
  /**
   * A snapshot was installed and is durable: the log is empty and continues after it. From needsSnapshot until then no write may be under
   * way and nothing be taken to be applied; messages may come.
   */
  restored(index: LogIndex, term: Term, configuration: Configuration): void
  /** The snapshot for this follower could not be sent; it is tried again later. */
  snapshotFailed(to: PeerId): void
  /** Hands leadership to a voter that has caught up. False where that cannot be. */
  transferLeadership(to: PeerId): boolean
  /** Campaigns now (a single voter, or tests). */
  campaign(): void

  // what has come of them; each call hands over and forgets
  /**
   * To be sent at once. The leader's appends are among these: they travel while it syncs. Peers that get the same get the same
   * message object, so that it need be encoded once.
   */
  takeMessages(): readonly Addressed<E>[]
  /** Null where nothing is to be written, or a write is under way. */
  takeWrite(): Write<E> | null
  /** Committed and synced here, in order, not handed over before. */
  takeCommitted(bytesMax: number): readonly E[]
  takeReads(): readonly ReadState[]
  takeFetches(): readonly Fetch[]
  /** Followers that need a snapshot, once each; the outcome comes back as a snapshotReply, or snapshotFailed. */
  takeSnapshots(): readonly PeerId[]
}
