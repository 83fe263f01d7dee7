/**
 * Frames of the session's wire. `u8 version, u8 kind, u16 count` (big-endian), then for requests, each:
 * `u8 op, u8 class, u16 attempt, u32 id, u32 remainingMs, u32 bytes` and a MessagePack array; for every other kind one
 * MessagePack array for the whole frame. Decoding is bounded: sizes first, then depth, then shapes.
 */

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

/** A push: a lease of this client was ended by somebody else, an event of a watch, or the end of a watch. */
export type Push =
  | readonly [kind: 'ended', name: string, token: number, reason: string]
  | readonly [kind: 'event', watchId: number, cursor: string, event: readonly unknown[]]
  | readonly [kind: 'watchEnd', watchId: number, code: number, detail: string]

/** Kind and count of a frame. Throws ProtocolError (TOO_LARGE, INVALID_ARGUMENT) for anything that is no frame of this version. */
export function openFrame(frame: Uint8Array): { kind: FrameKind; count: number } {
  throw new Error(`not built: ${frame}`)
}

/** Gathers requests into one frame. Reused: take() starts the next frame. */
export class RequestFrameWriter {
  get count(): number {
    throw new Error('not built')
  }
  get bytes(): number {
    throw new Error('not built')
  }
  /** False, with nothing added, when the request does not fit the frame any more (a request that fits no frame throws TOO_LARGE). */
  add(op: number, attempt: number, id: number, remainingMs: number, fields: readonly unknown[]): boolean {
    throw new Error(`not built ${op} ${attempt} ${id} ${remainingMs} ${fields}`)
  }
  /** The frame, as bytes of its own, and a fresh start. */
  take(): Uint8Array {
    throw new Error('not built')
  }
}

/** Walks over the requests of one frame; headers are read without decoding a body. Reused for frame after frame. */
export class RequestReader {
  op = 0
  workClass = 0
  attempt = 0
  id = 0
  remainingMs = 0
  bodyBytes = 0
  /** Checks the whole frame's structure first: a half frame is refused before any of its requests is seen. Returns the count. */
  open(frame: Uint8Array): number {
    throw new Error(`not built ${frame}`)
  }
  /** Moves to the next request; false at the end. */
  next(): boolean {
    throw new Error('not built')
  }
  /** Decodes the body of this request: a MessagePack array of bounded depth, or ProtocolError INVALID_ARGUMENT. */
  fields(): readonly unknown[] {
    throw new Error('not built')
  }
}

export function encodeHello(hello: Hello): Uint8Array {
  throw new Error(`not built ${hello}`)
}
export function decodeHello(frame: Uint8Array): Hello {
  throw new Error(`not built ${frame}`)
}
export function encodeWelcome(welcome: Welcome): Uint8Array {
  throw new Error(`not built ${welcome}`)
}
export function decodeWelcome(frame: Uint8Array): Welcome {
  throw new Error(`not built ${frame}`)
}
/** The frame may be over frameBytesMax only if a single reply is: the caller splits by count. */
export function encodeReplies(replies: readonly WireReply[]): Uint8Array {
  throw new Error(`not built ${replies}`)
}
export function decodeReplies(frame: Uint8Array): readonly WireReply[] {
  throw new Error(`not built ${frame}`)
}
export function encodePushes(pushes: readonly Push[]): Uint8Array {
  throw new Error(`not built ${pushes}`)
}
export function decodePushes(frame: Uint8Array): readonly Push[] {
  throw new Error(`not built ${frame}`)
}
/** The last frame before the server closes a session that broke the contract or is turned away. */
export function encodeRefused(code: number, detail: string): Uint8Array {
  throw new Error(`not built ${code} ${detail}`)
}
export function decodeRefused(frame: Uint8Array): { code: number; detail: string } {
  throw new Error(`not built ${frame}`)
}
