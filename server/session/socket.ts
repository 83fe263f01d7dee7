/**
 * What a session needs of a connection. WebSocket in production (http/), a pair in memory in simulations and in the
 * client's testing entry: the code above is the same.
 */
export interface Socket {
  /** Queues one binary message. Must not throw, also not after the connection is gone. */
  send(bytes: Uint8Array): void
  /** Closes with a WebSocket code. Safe to call twice. What was sent before still goes out. */
  close(code: number, reason: string): void
  /** Gives up on a peer that does not read. */
  drop(): void
  /** What was sent and has not left yet. */
  readonly bufferedBytes: number
  /** Stops reading, and goes on. A message or two may still arrive after a pause. */
  pause(): void
  resume(): void
}

/** How a connection tells its session what happens. */
export interface SocketHandle {
  /** A text message comes as a string, and is refused. */
  message(data: Uint8Array | string): void
  /** Something that was buffered has left: reading may go on. */
  drained(): void
  /** The connection is gone. Safe to call twice. */
  closed(): void
}

/** WebSocket close codes (RFC 6455, section 7.4.1, and the registry behind it). */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupported: 1003,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  tryAgainLater: 1013,
} as const
