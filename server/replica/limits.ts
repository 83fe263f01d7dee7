/** Limits and paces that only the replica needs, and the relations between them, asserted at import. */
import { LIMITS } from '@leasehold/protocol'

const MIB = 1_048_576
const DAY_MS = 86_400_000

export const REPLICA_LIMITS = {
  // time
  tickMs: 30,
  /** What one gathering of elapsed time may gain; the excess is forgotten. */
  gainMsMax: 60,
  electionMsMax: 600,
  hangMsMax: 30_000,

  // batches
  /** Applying so many holds the loop for some 20 ms; more would not be faster. */
  batchCommandsMax: 2_048,
  batchBytesMax: 2 * MIB,
  /** Gathered batches, the one that grows included. */
  batchesMax: 32,
  /** Of the members' own commands (waiters lost, trims) in one entry. */
  internalPerEntryMax: 1_024,
  /** A refused command is told to come back between once and twice this. */
  retryAfterMs: 50,

  // the way to the leader
  /** Batches on their way at a time: enough to keep the leader's next close busy, few enough for large ones. */
  forwardedMax: 3,
  /** Of other members, that wait for the leader's next close. */
  inboundMax: 256,
  inboundBytesMax: 16 * MIB,
  // draws of tokens
  /** A leader waits so long for those who drew within `drawLatelyMs`, so that all are judged together. */
  drawGatherMs: 10,
  drawLatelyMs: 1_000,
  /** A draw of which nothing came is sent again after this. */
  drawAgainMs: 250,
  /** Of what the quotas of one member tell those of another. */
  toldBytesMax: 131_072,

  /** A process asks for its run again after this. */
  admitAgainMs: 500,
  /** Without a leader for so long, commands are refused at once. */
  leaderlessMsMax: 1_200,

  /** Who asked for a change of the members hears after this that it goes on. */
  changeMsMax: 10_000,

  /** So long a follower's news of a commit waits for entries that carry it. */
  noticeMs: 2,

  // who will only stand in a queue
  /** So long he waits for others to be written with; */
  patienceMs: 2,
  /** and no longer where there are more of them: then they are company enough. */
  patientCommands: 16,

  // who has just been answered
  /** So many at least, who may ask again at once, are waited for, */
  returningCommands: 9,
  /** until this share of them is there, */
  returningShare: 0.75,
  /** or for so long after their answer. */
  returningMs: 1,

  // snapshots
  /** Chunks on their way to one member. */
  snapshotWindow: 16,
  /** After a chunk its receiver rests so many times as long as it took, */
  snapshotRest: 2,
  /** but no longer than this. */
  snapshotRestMsMax: 100,
  /** A transfer of which nothing was acknowledged for so long is given up. */
  snapshotStallMsMax: 30_000,
  /** So long a receiver may verify and load what it has; then its word is taken for lost. */
  snapshotInstallMsMax: 600_000,

  // reads
  readAgainMs: 90,
  readMsMax: 2_000,

  /** Applied in one turn of the loop. */
  applyBytes: 65_536,
  /** With so many more to apply a member is one that catches up: it rests after such a share, for as long as that took */
  behindEntries: 64,
  /** and no longer than this. */
  breathMsMax: 50,
  /** A write of no more commands is applied before the next one starts. */
  promptCommands: 8,

  // what is written down
  checkpointMs: 100,
  /** Rows of up to 1 KiB: this also keeps a checkpoint within 8 MiB. */
  checkpointRows: 8_192,
  /** From so many changed rows that are on disk already, and from so many per command and per changed row, waiting saves nothing. */
  spreadRows: 512,
  spreadShare: 0.75,
  idleFlushMs: 60,
  tailEntries: 8_192,
  tailBytes: 16 * MIB,

  // the audit
  auditAgeMs: 7 * DAY_MS,
  auditBytes: 1_024 * MIB,
  auditTrimEventsMax: 65_536,
  auditCheckMs: 1_000,

  // the feed
  subscribersMax: 10_000,

  gaugeMs: 1_000,
  /** A leader whose disk is low tries again after this to hand over: nothing is taken while it tries. */
  handoverAgainMs: 10_000,
  /** Of a shutdown: how long a leader waits for another one to have taken over. */
  handoverMsMax: 1_000,
  /** Whose directory came back older than it was stays this long, so that its leader learns of it. */
  farewellMs: 1_000,
  /** Of a shutdown: what has no answer by then gets none. */
  drainMsMax: 3_000,
  closeMsMax: 4_000,
} as const

/** Throws RangeError where limits disagree. */
export function assertReplicaLimits(l: { readonly [K in keyof typeof REPLICA_LIMITS]: number }): void {
  const relations: [boolean, string][] = [
    [l.gainMsMax === 2 * l.tickMs, 'a gain is bounded by two ticks'],
    [l.idleFlushMs + l.tickMs <= l.checkpointMs, 'idle rows are flushed as soon as busy ones'],
    [l.tickMs < LIMITS.beatMs, 'ticks are finer than beats'],
    [l.electionMsMax < l.hangMsMax, 'a hung disk is unready before it is fatal'],
    [l.breathMsMax < l.electionMsMax / 4, 'who rests is no silent leader, and soon a ready one'],
    [l.electionMsMax < l.leaderlessMsMax, 'an election is no reason to refuse'],
    [l.electionMsMax < l.readMsMax, 'a read outlives an election'],
    [l.promptCommands < l.returningCommands, 'a few are answered at once, and waited for by nobody'],
    [l.drawGatherMs < l.drawAgainMs, 'a draw is not sent again before it was judged'],
    [l.drawAgainMs < l.drawLatelyMs, 'who draws without end is expected'],
    [l.inboundBytesMax >= 2 * l.forwardedMax * l.batchBytesMax, 'two members may send as much as they may'],
    [l.snapshotRestMsMax < l.snapshotStallMsMax / 100, 'who rests does not seem to stand still'],
    [l.snapshotStallMsMax <= l.snapshotInstallMsMax, 'loading all of it takes longer than taking a piece'],
    [l.electionMsMax < l.handoverAgainMs / 10, 'who tries to hand over serves most of the time all the same'],
    [l.handoverMsMax < l.drainMsMax, 'who hands over still has time to finish what it accepted'],
    [l.drainMsMax < l.closeMsMax, 'what could not be drained is written down in time'],
    [l.batchBytesMax >= 2 * LIMITS.frameBytesMax, 'a frame of commands fits a batch'],
    [l.batchCommandsMax >= LIMITS.frameRequestsMax, 'the requests of a frame fit a batch'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`replica limits disagree: ${claim}`)
}

assertReplicaLimits(REPLICA_LIMITS)
