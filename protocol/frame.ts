/**
 * Frames of the session's wire. `u8 version, u8 kind, u16 count` (big-endian), then for requests, each:
 * `u8 op, u8 class, u16 attempt, u32 id, u32 remainingMs, u32 bytes` and a MessagePack array; for every other kind one
 * MessagePack array for the whole frame. Decoding is bounded: sizes first, then depth, then shapes. Requests are in
 * requests.ts. Whatever the bytes are, decoding throws ProtocolError and nothing else.
 */
import { checkArray, checkCount, checkInteger, checkNatural, checkString, checkVisible } from './checks.js'
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { checkName } from './names.js'
import { FRAME_BOUNDS, packShared, unpack } from './pack.js'
import { describe } from './text.js'

export const WIRE_VERSION = 1
export const FRAME_KIND = { hello: 1, welcome: 2, requests: 3, replies: 4, pushes: 5, refused: 6 } as const
export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND]

/** The client's first frame. */
export interface Hello {
  readonly clientName: string
  /** 16 bytes, as 32 lower-case hex digits. */
  readonly sessionId: string
  readonly lowestUnanswered: number
  readonly credential: string | null
}

/** The server's first frame. */
export interface Welcome {
  readonly clusterId: string
  readonly memberId: string
  readonly term: number
  readonly leaderUrl: string | null
  readonly clusterMs: number
  /** What the client must keep to: frame bytes, requests a frame, requests in flight a session. */
  readonly limits: { readonly frameBytesMax: number; readonly frameRequestsMax: number; readonly inFlightMax: number }
}

/** `fields` as replies.ts has them. */
export type WireReply = readonly [id: number, attempt: number, code: number, fields: readonly unknown[]]

/**
 * A push: a lease of this client was ended by somebody else, an event of a watch, the end of a watch, or that this member is no
 * longer the one to ask (`code` says why: it shuts down, or has no quorum; the url is the leader's, where it is known).
 */
export type Push =
  | readonly [kind: 'ended', name: string, token: number, reason: string]
  | readonly [kind: 'event', watchId: number, cursor: string, event: readonly unknown[]]
  | readonly [kind: 'watchEnd', watchId: number, code: number, detail: string]
  | readonly [kind: 'away', code: number, leaderUrl: string | null, detail: string]

const HEAD_BYTES = 4
const U32_MAX = 0xffff_ffff
const KINDS = new Map<number, { kind: FrameKind; name: string }>(
  Object.entries(FRAME_KIND).map(([name, kind]) => [kind, { kind, name }]),
)

/** Kind and count of a frame. Throws ProtocolError (TOO_LARGE, INVALID_ARGUMENT) for anything that is no frame of this version. */
export function openFrame(frame: Uint8Array): { kind: FrameKind; count: number } {
  if (frame.length < HEAD_BYTES) throw refuse(`a frame has at least ${HEAD_BYTES} bytes, not ${frame.length}`)
  if (frame[0] !== WIRE_VERSION) throw refuse(`frame version ${frame[0]} is not spoken here (${WIRE_VERSION} is)`)
  const kind = KINDS.get(frame[1]!)?.kind
  if (kind === undefined) throw refuse(`frame kind ${frame[1]} is unknown`)
  const large = kind === FRAME_KIND.replies || kind === FRAME_KIND.pushes
  const bytesMax = large ? LIMITS.replyBytesMax : LIMITS.frameBytesMax
  if (frame.length > bytesMax) {
    throw new ProtocolError('TOO_LARGE', `a frame has at most ${bytesMax} bytes, not ${frame.length}`)
  }
  const count = (frame[2]! << 8) | frame[3]!
  if (kind === FRAME_KIND.requests && count > LIMITS.frameRequestsMax) {
    throw new ProtocolError('TOO_LARGE', `a frame has at most ${LIMITS.frameRequestsMax} requests, not ${count}`)
  }
  return { kind, count }
}

function refuse(detail: string): ProtocolError {
  return new ProtocolError('INVALID_ARGUMENT', detail)
}

function encodeFrame(kind: FrameKind, count: number, fields: readonly unknown[]): Uint8Array {
  if (count > LIMITS.repliesMax) throw new RangeError(`${count} messages do not fit a frame: split them`)
  const body = packShared(fields)
  const frame = new Uint8Array(HEAD_BYTES + body.length)
  frame[0] = WIRE_VERSION
  frame[1] = kind
  frame[2] = count >> 8
  frame[3] = count
  frame.set(body, HEAD_BYTES)
  return frame
}

/** The fields of a frame that must be of this kind, and its count. */
function decodeFrame(frame: Uint8Array, kind: FrameKind): { count: number; fields: readonly unknown[] } {
  const head = openFrame(frame)
  if (head.kind !== kind) {
    throw refuse(`a frame of kind ${KINDS.get(kind)!.name} is expected, not ${KINDS.get(head.kind)!.name}`)
  }
  return { count: head.count, fields: unpack(frame, HEAD_BYTES, frame.length, FRAME_BOUNDS) }
}

/** One message, `what`, of so many fields. */
function decodeSingle(frame: Uint8Array, kind: FrameKind, fieldCount: number, what: string): readonly unknown[] {
  const { count, fields } = decodeFrame(frame, kind)
  if (count !== 1) throw refuse(`a ${what} comes alone, not as one of ${count}`)
  checkCount(fields, fieldCount, what)
  return fields
}

function decodeMany(frame: Uint8Array, kind: FrameKind): readonly unknown[] {
  const { count, fields } = decodeFrame(frame, kind)
  if (count !== fields.length) throw refuse(`the frame has ${fields.length} messages, but says ${count}`)
  return fields
}

function checkVersion(value: unknown): void {
  if (value !== WIRE_VERSION) {
    throw refuse(`version must be ${WIRE_VERSION}, the one spoken here, not ${describe(value)}`)
  }
}

/** Throws ProtocolError for a session id that is not 32 lower-case hex digits. */
export function encodeHello(hello: Hello): Uint8Array {
  return encodeFrame(FRAME_KIND.hello, 1, [
    WIRE_VERSION,
    hello.clientName,
    bytesOfHex(hello.sessionId),
    hello.lowestUnanswered,
    hello.credential,
  ])
}

/** Throws ProtocolError INVALID_ARGUMENT or TOO_LARGE. */
export function decodeHello(frame: Uint8Array): Hello {
  const fields = decodeSingle(frame, FRAME_KIND.hello, 5, 'hello')
  checkVersion(fields[0])
  return {
    clientName: checkName(fields[1], 'clientName'),
    sessionId: hexOfBytes(fields[2]),
    lowestUnanswered: checkInteger(fields[3], 'lowestUnanswered', 1, Number.MAX_SAFE_INTEGER),
    credential: fields[4] === null ? null : checkVisible(fields[4], 'credential', LIMITS.credentialBytesMax),
  }
}

const SESSION_ID_BYTES = 16

function bytesOfHex(sessionId: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(sessionId)) {
    throw refuse(`sessionId must be 32 lower-case hex digits, not ${describe(sessionId)}`)
  }
  const bytes = new Uint8Array(SESSION_ID_BYTES)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(sessionId.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

function hexOfBytes(value: unknown): string {
  if (!(value instanceof Uint8Array) || value.length !== SESSION_ID_BYTES) {
    throw refuse(`sessionId must be ${SESSION_ID_BYTES} bytes, not ${describe(value)}`)
  }
  let hex = ''
  for (const byte of value) hex += byte.toString(16).padStart(2, '0')
  return hex
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  const { frameBytesMax, frameRequestsMax, inFlightMax } = welcome.limits
  return encodeFrame(FRAME_KIND.welcome, 1, [
    WIRE_VERSION,
    welcome.clusterId,
    welcome.memberId,
    welcome.term,
    welcome.leaderUrl,
    welcome.clusterMs,
    [frameBytesMax, frameRequestsMax, inFlightMax],
  ])
}

/** Throws ProtocolError INVALID_ARGUMENT or TOO_LARGE. */
export function decodeWelcome(frame: Uint8Array): Welcome {
  const fields = decodeSingle(frame, FRAME_KIND.welcome, 7, 'welcome')
  checkVersion(fields[0])
  const limits = checkArray(fields[6], 'limits')
  checkCount(limits, 3, 'limits')
  return {
    clusterId: checkVisible(fields[1], 'clusterId', LIMITS.nameBytesMax),
    memberId: checkVisible(fields[2], 'memberId', LIMITS.nameBytesMax),
    term: checkNatural(fields[3], 'term'),
    leaderUrl: fields[4] === null ? null : checkVisible(fields[4], 'leaderUrl', LIMITS.urlBytesMax),
    clusterMs: checkNatural(fields[5], 'clusterMs'),
    limits: {
      frameBytesMax: checkInteger(limits[0], 'frameBytesMax', 1, U32_MAX),
      frameRequestsMax: checkInteger(limits[1], 'frameRequestsMax', 1, U32_MAX),
      inFlightMax: checkInteger(limits[2], 'inFlightMax', 1, U32_MAX),
    },
  }
}

/**
 * The frame may be over frameBytesMax only if a single reply is: the caller splits by count. Throws RangeError for more
 * than LIMITS.repliesMax of them.
 */
export function encodeReplies(replies: readonly WireReply[]): Uint8Array {
  return encodeFrame(FRAME_KIND.replies, replies.length, replies)
}

/** Shapes of the replies are checked; what is in their fields is the matter of who asked. Throws ProtocolError. */
export function decodeReplies(frame: Uint8Array): readonly WireReply[] {
  const replies = decodeMany(frame, FRAME_KIND.replies)
  for (const reply of replies) {
    const fields = checkArray(reply, 'reply')
    checkCount(fields, 4, 'reply')
    checkInteger(fields[0], 'id', 0, U32_MAX)
    checkInteger(fields[1], 'attempt', 0, 0xffff)
    checkInteger(fields[2], 'code', 0, 0xffff)
    checkArray(fields[3], 'fields')
  }
  return replies as readonly WireReply[]
}

export function encodePushes(pushes: readonly Push[]): Uint8Array {
  return encodeFrame(FRAME_KIND.pushes, pushes.length, pushes)
}

/** Throws ProtocolError. */
export function decodePushes(frame: Uint8Array): readonly Push[] {
  const pushes = decodeMany(frame, FRAME_KIND.pushes)
  for (const push of pushes) checkPush(checkArray(push, 'push'))
  return pushes as readonly Push[]
}

function checkPush(push: readonly unknown[]): void {
  checkCount(push, 4, 'push')
  switch (push[0]) {
    case 'ended':
      checkName(push[1], 'name')
      checkInteger(push[2], 'token', 1, LIMITS.tokenMax)
      checkVisible(push[3], 'reason', LIMITS.nameBytesMax)
      return
    case 'event':
      checkInteger(push[1], 'watchId', 0, U32_MAX)
      checkVisible(push[2], 'cursor', LIMITS.cursorBytesMax)
      checkArray(push[3], 'event')
      return
    case 'watchEnd':
      checkInteger(push[1], 'watchId', 0, U32_MAX)
      checkInteger(push[2], 'code', 0, 0xffff)
      checkString(push[3], 'detail', LIMITS.detailBytesMax)
      return
    case 'away':
      checkInteger(push[1], 'code', 0, 0xffff)
      if (push[2] !== null) checkVisible(push[2], 'leaderUrl', LIMITS.urlBytesMax)
      checkString(push[3], 'detail', LIMITS.detailBytesMax)
      return
    default:
      throw refuse(`push must be ended, event, watchEnd or away, not ${describe(push[0])}`)
  }
}

/** The last frame before the server closes a session that broke the contract or is turned away. */
export function encodeRefused(code: number, detail: string): Uint8Array {
  return encodeFrame(FRAME_KIND.refused, 1, [code, detail])
}

/** Throws ProtocolError. */
export function decodeRefused(frame: Uint8Array): { code: number; detail: string } {
  const fields = decodeSingle(frame, FRAME_KIND.refused, 2, 'refused')
  return {
    code: checkInteger(fields[0], 'code', 0, 0xffff),
    detail: checkString(fields[1], 'detail', LIMITS.detailBytesMax),
  }
}
