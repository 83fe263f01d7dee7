/** Cores on an ideal network: every message arrives, every write lands at once. For claims about the normal course of things. */
import { type LogIndex, logIndex, type Term, term } from '@leasehold/protocol'
import { type Configuration, type LogEntry, Raft, type RaftLimits } from '@leasehold/server/raft'

export interface Item extends LogEntry {
  readonly text: string
}

export const item = (of: Term, index: LogIndex, text: string): Item => {
  return { term: of, index, text, bytes: 10, reconfigures: text.startsWith('configure') }
}

/** A fresh core whose directory was just formed: entry 1 is there, committed by definition. */
export function formed(
  id: string,
  configuration: Configuration,
  random: () => number,
  limits?: RaftLimits,
): Raft<Item> {
  const start = {
    id,
    hardState: { term: term(1), votedFor: null },
    configuration,
    firstIndex: logIndex(1),
    lastIndex: logIndex(1),
    terms: [{ term: term(1), from: logIndex(1) }],
    applied: logIndex(1),
    commit: logIndex(1),
    reconfigurations: [],
    random,
  }
  return new Raft<Item>(start, limits)
}

export class IdealCluster {
  readonly cores = new Map<string, Raft<Item>>()
  readonly applied = new Map<string, string[]>()
  readonly cut = new Set<string>()

  constructor(configuration: Configuration) {
    const all = [...configuration.voters, ...configuration.learners]
    all.forEach((id, i) => {
      let draw = 0
      this.cores.set(
        id,
        formed(id, configuration, () => ((i + 1) * 0.31 + 0.17 * draw++) % 1),
      )
      this.applied.set(id, [])
    })
  }

  get leader(): Raft<Item> | undefined {
    return [...this.cores].find(([id, core]) => core.status.role === 'leader' && !this.cut.has(id))?.[1]
  }

  tick(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const core of this.cores.values()) core.tick()
      this.settle()
    }
  }

  propose(...texts: string[]): void {
    const { term, lastIndex } = this.leader!.status
    this.leader!.propose(texts.map((text, i) => item(term, logIndex(lastIndex + 1 + i), text)))
    this.settle()
  }

  /** Until nothing happens any more. */
  settle(): void {
    for (let busy = true; busy; ) {
      busy = false
      for (const [id, core] of this.cores) if (this.#turn(id, core)) busy = true
    }
  }

  #turn(id: string, core: Raft<Item>): boolean {
    const messages = [...core.takeMessages()]
    const write = core.takeWrite()
    if (write !== null) {
      core.written()
      messages.push(...write.replies)
    }
    for (const { to, message } of messages) {
      if (!this.cut.has(id) && !this.cut.has(to)) this.cores.get(to)?.step(id, message)
    }
    const committed = core.takeCommitted(1_000)
    for (const entry of committed) {
      this.applied.get(id)!.push(entry.text)
      core.applied(entry.index)
    }
    return messages.length > 0 || write !== null || committed.length > 0
  }
}
