/**
 * The bytes of what members say to each other: consensus messages (CHANNEL.raft) and batches on their way to the leader
 * (CHANNEL.forward), as MessagePack arrays, kind and term first. Pure. A body of commands goes in and comes out as it is: nobody encodes it
 * twice, and what is read is a view of what came. Whatever the bytes are, decoding throws ProtocolError INVALID_ARGUMENT and nothing else.
 *
 *   preVote, vote            [kind, term, lastIndex, lastTerm, transfer]
 *   preVoteReply, voteReply  [kind, term, granted, commit, commitTerm]
 *   append                   [kind, term, previousIndex, previousTerm, commit, entries]
 *     an entry               [term, index, timeMs, wallMs, member, run, batch, body]
 *   appendReply              [kind, term, accepted, index, hintIndex, hintTerm]
 *   heartbeat                [kind, term, commit, round]            heartbeatReply  [kind, term, round]
 *   snapshot                 [kind, term, index, lastTerm]          snapshotReply   [kind, term, installed, index]
 *   timeoutNow               [kind, term]
 *   readIndex                [kind, term, read]                     readIndexReply  [kind, term, read, index]
 *   reminder                 [kind, term, index, entryTerm]         lost            [kind, term, index]
 *
 *   forwarded batch          [kind, term, member, run, batch, body]
 *   draw                     [kind, term, then the draw (allocaterecords.ts of the protocol)]
 *   something told           [kind, term, body]
 *   refusal of one           [kind, term, run, batch, reason]      standing        [kind, term, applied, low]
 *
 * A message may have more fields than these: a later version's, which say more and change nothing, are passed over. Not so an entry: all
 * members must hold the same, so one that has more, or commands that are not known here, is NewerEntry.
 */
import {
  type Command,
  checkArray,
  checkBoolean,
  checkCount,
  checkInteger,
  checkNatural,
  checkText,
  clusterMs,
  decodeCommands,
  drawFields,
  drawOfFields,
  LIMITS,
  logIndex,
  ProtocolError,
  pack,
  run,
  term,
  unpack,
  wallMs,
} from '@leasehold/protocol'
import { MESSAGE, type Message } from '../raft/index.js'
import { FORWARD, type Forward, REFUSAL, type RefusalReason } from './forwards.js'
import { carried, type ReplicaEntry } from './logentry.js'

export const MESSAGE_LIMITS = {
  /** Of an append. */
  entriesMax: 16_384,
  /** Of the commands of one entry or forwarded batch: what the decoder takes as one piece. */
  bodyBytesMax: LIMITS.replyBytesMax,
} as const

const ENTRY_FIELDS = 8
/** A message, its entries, and each one of them. */
const BOUNDS = { depthMax: 3, itemsMax: (ENTRY_FIELDS + 1) * MESSAGE_LIMITS.entriesMax + 8 }

type Fields = readonly unknown[]
const refuse = (detail: string) => new ProtocolError('INVALID_ARGUMENT', detail)

/** An entry of a later format: this version is too old for what the cluster uses. */
export class NewerEntry extends ProtocolError {}

/** Bytes of their own. Throws RangeError for more entries, or a larger body, than a message may have. */
export function encodeMessage(message: Message<ReplicaEntry>): Uint8Array {
  return pack(messageFields(message))
}

/** Throws ProtocolError. The bytes must not change afterwards: bodies are views of them. */
export function decodeMessage(bytes: Uint8Array): Message<ReplicaEntry> {
  return messageOf(unpack(bytes, 0, bytes.length, BOUNDS))
}

/** Bytes of their own. Throws RangeError for a larger body than a message may have. */
export function encodeForward(forward: Forward): Uint8Array {
  switch (forward.kind) {
    case FORWARD.batch:
      return pack([forward.kind, forward.term, forward.member, forward.run, forward.batch, bounded(forward.body)])
    case FORWARD.refusal:
      return pack([forward.kind, forward.term, forward.run, forward.batch, forward.reason])
    case FORWARD.standing:
      return pack([forward.kind, forward.term, forward.applied, forward.low])
    case FORWARD.draw:
      return pack([forward.kind, forward.term, ...drawFields(forward.draw)])
    case FORWARD.told:
      return pack([forward.kind, forward.term, bounded(forward.body)])
  }
}

/** Throws ProtocolError. The body is a view of the bytes, and not looked into. */
export function decodeForward(bytes: Uint8Array): Forward {
  const f = unpack(bytes, 0, bytes.length, BOUNDS)
  switch (f[0]) {
    case FORWARD.batch:
      checkAtLeast(f, 6, 'a forwarded batch')
      return {
        kind: FORWARD.batch,
        term: termAt(f, 1),
        member: checkText(f[2], 'member'),
        run: runAt(f, 3),
        batch: checkNatural(f[4], 'batch'),
        body: bodyAt(f, 5),
      }
    case FORWARD.refusal:
      checkAtLeast(f, 5, 'a refusal')
      return {
        kind: FORWARD.refusal,
        term: termAt(f, 1),
        run: runAt(f, 2),
        batch: checkNatural(f[3], 'batch'),
        reason: reasonAt(f, 4),
      }
    case FORWARD.standing:
      checkAtLeast(f, 4, 'a standing')
      return { kind: FORWARD.standing, term: termAt(f, 1), applied: indexAt(f, 2), low: checkBoolean(f[3], 'low') }
    case FORWARD.draw:
      return { kind: FORWARD.draw, term: termAt(f, 1), draw: drawOfFields(f.slice(2)) }
    case FORWARD.told:
      checkAtLeast(f, 3, 'something told')
      return { kind: FORWARD.told, term: termAt(f, 1), body: bodyAt(f, 2) }
    default:
      throw refuse('a forwarded message has a kind that this version does not know')
  }
}

function messageFields(m: Message<ReplicaEntry>): Fields {
  switch (m.kind) {
    case MESSAGE.preVote:
    case MESSAGE.vote:
      return [m.kind, m.term, m.lastIndex, m.lastTerm, m.transfer]
    case MESSAGE.preVoteReply:
    case MESSAGE.voteReply:
      return [m.kind, m.term, m.granted, m.commit, m.commitTerm]
    case MESSAGE.append:
      return [m.kind, m.term, m.previousIndex, m.previousTerm, m.commit, entriesFields(m.entries)]
    case MESSAGE.appendReply:
      return [m.kind, m.term, m.accepted, m.index, m.hintIndex, m.hintTerm]
    case MESSAGE.heartbeat:
      return [m.kind, m.term, m.commit, m.round]
    case MESSAGE.heartbeatReply:
      return [m.kind, m.term, m.round]
    case MESSAGE.snapshot:
      return [m.kind, m.term, m.index, m.lastTerm]
    case MESSAGE.snapshotReply:
      return [m.kind, m.term, m.installed, m.index]
    case MESSAGE.timeoutNow:
      return [m.kind, m.term]
    case MESSAGE.readIndex:
      return [m.kind, m.term, m.read]
    case MESSAGE.readIndexReply:
      return [m.kind, m.term, m.read, m.index]
    case MESSAGE.reminder:
      return [m.kind, m.term, m.index, m.entryTerm]
    case MESSAGE.lost:
      return [m.kind, m.term, m.index]
  }
}

function entriesFields(entries: readonly ReplicaEntry[]): Fields {
  if (entries.length > MESSAGE_LIMITS.entriesMax) throw new RangeError(`${entries.length} entries in one message`)
  return entries.map((e) => [e.term, e.index, e.timeMs, e.wallMs, e.member, e.run, e.batch, bounded(e.body)])
}

function bounded(body: Uint8Array): Uint8Array {
  if (body.length > MESSAGE_LIMITS.bodyBytesMax) throw new RangeError(`a body of ${body.length} bytes in one message`)
  return body
}

/** Fields of each kind, kind and term included. */
const COUNTS: ReadonlyMap<unknown, number> = new Map([
  [MESSAGE.preVote, 5],
  [MESSAGE.vote, 5],
  [MESSAGE.preVoteReply, 5],
  [MESSAGE.voteReply, 5],
  [MESSAGE.append, 6],
  [MESSAGE.appendReply, 6],
  [MESSAGE.heartbeat, 4],
  [MESSAGE.heartbeatReply, 3],
  [MESSAGE.snapshot, 4],
  [MESSAGE.snapshotReply, 4],
  [MESSAGE.timeoutNow, 2],
  [MESSAGE.readIndex, 3],
  [MESSAGE.readIndexReply, 4],
  [MESSAGE.reminder, 4],
  [MESSAGE.lost, 3],
])

function messageOf(f: Fields): Message<ReplicaEntry> {
  const kind = f[0] as Message<ReplicaEntry>['kind']
  const count = COUNTS.get(kind)
  if (count === undefined) throw refuse('a consensus message has a kind that this version does not know')
  checkAtLeast(f, count, `consensus message ${kind}`)
  const term = termAt(f, 1)
  switch (kind) {
    case MESSAGE.preVote:
    case MESSAGE.vote:
      return { kind, term, lastIndex: indexAt(f, 2), lastTerm: termAt(f, 3), transfer: checkBoolean(f[4], 'transfer') }
    case MESSAGE.preVoteReply:
    case MESSAGE.voteReply: {
      const committed = { commit: indexAt(f, 3), commitTerm: termAt(f, 4) }
      return { kind, term, granted: checkBoolean(f[2], 'granted'), ...committed }
    }
    case MESSAGE.append: {
      const entries = checkArray(f[5], 'entries')
      if (entries.length > MESSAGE_LIMITS.entriesMax) throw refuse(`${entries.length} entries in one message`)
      const previous = { previousIndex: indexAt(f, 2), previousTerm: termAt(f, 3) }
      return { kind, term, ...previous, commit: indexAt(f, 4), entries: entries.map(entryOf) }
    }
    case MESSAGE.appendReply: {
      const hint = { hintIndex: indexAt(f, 4), hintTerm: termAt(f, 5) }
      return { kind, term, accepted: checkBoolean(f[2], 'accepted'), index: indexAt(f, 3), ...hint }
    }
    case MESSAGE.heartbeat:
      return { kind, term, commit: indexAt(f, 2), round: checkNatural(f[3], 'round') }
    case MESSAGE.heartbeatReply:
      return { kind, term, round: checkNatural(f[2], 'round') }
    case MESSAGE.snapshot:
      return { kind, term, index: indexAt(f, 2), lastTerm: termAt(f, 3) }
    case MESSAGE.snapshotReply:
      return { kind, term, installed: checkBoolean(f[2], 'installed'), index: indexAt(f, 3) }
    case MESSAGE.timeoutNow:
      return { kind, term }
    case MESSAGE.readIndex:
      return { kind, term, read: checkNatural(f[2], 'read') }
    case MESSAGE.readIndexReply:
      return { kind, term, read: checkNatural(f[2], 'read'), index: indexAt(f, 3) }
    case MESSAGE.reminder:
      return { kind, term, index: indexAt(f, 2), entryTerm: termAt(f, 3) }
    case MESSAGE.lost:
      return { kind, term, index: indexAt(f, 2) }
  }
}

function entryOf(value: unknown): ReplicaEntry {
  const f = checkArray(value, 'entry')
  checkAtLeast(f, ENTRY_FIELDS, 'an entry')
  if (f.length > ENTRY_FIELDS) throw new NewerEntry('INVALID_ARGUMENT', `entry ${f[1]} has ${f.length} fields`)
  const body = bodyAt(f, 7)
  return carried({
    term: termAt(f, 0),
    index: indexAt(f, 1),
    timeMs: clusterMs(checkNatural(f[2], 'timeMs')),
    wallMs: wallMs(checkNatural(f[3], 'wallMs')),
    member: checkText(f[4], 'member'),
    run: runAt(f, 5),
    batch: checkNatural(f[6], 'batch'),
    commands: commandsOf(body),
    body,
  })
}

function commandsOf(body: Uint8Array): readonly Command[] {
  try {
    return decodeCommands(body)
  } catch (error) {
    throw new NewerEntry('INVALID_ARGUMENT', (error as Error).message)
  }
}

function checkAtLeast(f: Fields, count: number, what: string): void {
  if (f.length < count) checkCount(f, count, what)
}

function termAt(f: Fields, at: number) {
  return term(checkNatural(f[at], 'term'))
}
function indexAt(f: Fields, at: number) {
  return logIndex(checkNatural(f[at], 'index'))
}
function runAt(f: Fields, at: number) {
  return run(checkNatural(f[at], 'run'))
}

function bodyAt(f: Fields, at: number): Uint8Array {
  const body = f[at]
  if (body instanceof Uint8Array) return body
  throw refuse('a body must be bytes')
}

function reasonAt(f: Fields, at: number): RefusalReason {
  const reason = checkInteger(f[at], 'reason', 0, Number.MAX_SAFE_INTEGER)
  const known = Object.values(REFUSAL).find((one) => one === reason)
  if (known === undefined) throw refuse(`a refusal has the unknown reason ${reason}`)
  return known
}
