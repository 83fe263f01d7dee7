/**
 * Links between members, as rooms get them. A link is one ordered, bounded stream in each direction; messages arrive whole, once and in
 * order, or the link goes down and what was on its way may be lost. Production: TCP. The simulated world brings one that
 * delays, loses, duplicates across links, parts and reconnects.
 */

/** `memberId@directoryId`, as raft/ names it. */
export type PeerName = string

/** Each has its own bound, so that bulk never starves consensus. */
export const CHANNEL = {
  /** Consensus. Small bound in time: what is late is worthless. */
  raft: 1,
  /** Batches of commands on their way to the leader, and refusals of them. */
  forward: 2,
  /** Snapshots, in windowed chunks. */
  bulk: 3,
} as const
export type Channel = (typeof CHANNEL)[keyof typeof CHANNEL]

/** Told of everything in the order in which it happens. */
export interface TransportListener {
  /** The bytes are the listener's from now on. */
  message(from: PeerName, channel: Channel, bytes: Uint8Array): void
  linkUp(peer: PeerName): void
  /**
   * After it, nothing of that link is told here any more. What was sent on it just before may still reach the peer until that notices, too,
   * but never once a later link of the two is up there.
   */
  linkDown(peer: PeerName): void
  /** There is room again on a channel of this peer, after a send was refused. */
  room(peer: PeerName, channel: Channel): void
}

export interface Transport {
  start(listener: TransportListener): Promise<void>
  /**
   * Whom to keep links with. Others are closed and refused; what was sent to them before still reaches them where it can. Addresses are
   * `host:port`.
   */
  peers(all: readonly { readonly peer: PeerName; readonly address: string }[]): void
  /**
   * False, with nothing sent, where there is no link, or the channel is full. The bytes must not change afterwards. What is sent within one
   * turn of the loop travels together, unless it is flushed before.
   */
  send(to: PeerName, channel: Channel, bytes: Uint8Array): boolean
  /** What was sent leaves now, and not at the end of this turn of the loop: somebody waits for it, and the sender has more to do. Tells nothing. */
  flush(): void
  linked(peer: PeerName): boolean
  /** The cluster uses this format from now on: who does not speak it is refused with a word, and a link that stands with such a one ends. */
  speakFrom(format: number): void
  /** Safe to call twice. */
  close(): Promise<void>
}
