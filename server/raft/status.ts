/** The core as others see it: a live view, so that looking costs nothing. */
import type { LogIndex, Term } from '@leasehold/protocol'
import type { Node } from './node.js'
import type { Configuration, LogEntry, LostWord, PeerId, PeerProgress, RaftStatus, Role } from './types.js'

export class StatusView<E extends LogEntry> implements RaftStatus {
  readonly #node: Node<E>
  readonly #progress: () => readonly PeerProgress[]

  constructor(node: Node<E>, progress: () => readonly PeerProgress[]) {
    this.#node = node
    this.#progress = progress
  }

  get id(): PeerId {
    return this.#node.id
  }
  get role(): Role {
    return this.#node.role
  }
  get term(): Term {
    return this.#node.term
  }
  get leader(): PeerId | null {
    return this.#node.leader
  }
  get commit(): LogIndex {
    return this.#node.log.commit
  }
  get firstIndex(): LogIndex {
    return this.#node.log.first
  }
  get lastIndex(): LogIndex {
    return this.#node.log.last
  }
  get configuration(): Configuration {
    return this.#node.membership.configuration
  }
  get lost(): LostWord | null {
    return this.#node.lost
  }
  get progress(): readonly PeerProgress[] {
    return this.#progress()
  }
}
