/** What another service can do of the same work: a cluster of three of its own, and connections to its leader. */
import type { Unit } from '../driver.js'

export interface PeerCluster {
  /** Units of one whole cycle each: take something under a name of its own that ends with its owner, and give it back. */
  cycles(label: string): Unit
  /** Units of one renewal each, of `count` leases that are taken first; null: the service has none like ours. */
  renewals(count: number): Promise<Unit | null>
  close(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** How it was driven, for the note under the table. */
  readonly about: string
  /** What is missing on this machine; null: nothing. */
  missing(): string | null
  /** Folders of its members go under `parent`. */
  start(parent: string, connections: number): Promise<PeerCluster>
}

export const PEER_MEMBERS = 3
