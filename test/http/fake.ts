/**
 * A replica that does what a test says: commands are answered by a function, at once on the next turn or when the test
 * lets them go. For what the real one cannot show on demand: refusals, unknown outcomes, a service that is stuck.
 */
import {
  auditSeq,
  type ChainedEvent,
  type ClientCommand,
  type Configuration,
  clusterMs,
  type FencingToken,
  fencingToken,
  type LeaseView,
  logIndex,
  OK,
  OP,
  type QuotaView,
  type Reply,
  run,
  term,
} from '@leasehold/protocol'
import type { MemberView } from '@leasehold/server/machine'
import type { MemberStatus, MembershipChange, Recipient, Replica, Subscriber } from '@leasehold/server/replica'
import type { EventPage, EventQuery } from '@leasehold/server/storage'

export interface Submitted {
  readonly command: ClientCommand
  readonly to: Recipient
  readonly id: number
  readonly attempt: number
  readonly deadlineMs: number
}

type RevokedListener = (principal: string, name: string, token: FencingToken, reason: string) => void

export class FakeReplica implements Replica {
  readonly submitted: Submitted[] = []
  readonly detached: Recipient[] = []
  readonly events: ChainedEvent[] = []
  readonly leases = new Map<string, LeaseView>()
  readonly subscribers = new Set<Subscriber>()
  readonly listeners = new Set<RevokedListener>()
  barriers = 0
  barrier: () => Promise<void> = () => Promise.resolve()
  ready = true
  leader: string | null = 'm1'
  leaderPeer: string | null = 'm1@d1'
  members: readonly MemberView[] = []
  first = 1
  /** Answers a command; null leaves it unanswered for the test to answer. */
  respond: (command: ClientCommand) => Reply | null = granting
  readEvents: (query: EventQuery) => Promise<EventPage> = async (query) => {
    const matching = this.events.filter(
      (event) =>
        event.seq > query.after &&
        (query.name === undefined || event.name === query.name) &&
        (query.prefix === undefined || event.name.startsWith(query.prefix)),
    )
    const page = matching.slice(0, query.limit)
    return { events: page, next: page.length < matching.length ? page.at(-1)!.seq : null }
  }

  configuration: Configuration | null = null
  readonly changes: MembershipChange[] = []
  changed: () => Promise<void> = () => Promise.resolve()
  changeMembers(change: MembershipChange): Promise<void> {
    this.changes.push(change)
    return this.changed()
  }
  transfers: string[] = []
  transferLeadership(member: string): boolean {
    this.transfers.push(member)
    return this.transferred(member)
  }
  transferred: (member: string) => boolean = () => false

  get inFlight(): number {
    return this.submitted.length
  }

  get status(): MemberStatus {
    return {
      term: term(1),
      role: 'leader',
      peers: [],
      leader: this.leader,
      commitIndex: logIndex(1),
      firstIndex: logIndex(1),
      lastIndex: logIndex(1),
      clusterId: 'c1',
      memberId: 'm1',
      self: 'm1@d1',
      appliedIndex: 1,
      standings: new Map(),
      clusterMs: clusterMs(5_000),
      format: 1,
      leases: this.leases.size,
      waiters: 0,
    }
  }

  submit(command: ClientCommand, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    this.submitted.push({ command, to, id, attempt, deadlineMs })
    const reply = this.respond(command)
    if (reply === null) return
    setImmediate(() => {
      to.reply(id, attempt, reply.code, reply.fields)
      to.flush()
    })
  }

  /** Answers one of the submitted commands, the last one unless told otherwise. */
  answer(code: number, fields: readonly unknown[], at = -1): void {
    const { to, id, attempt } = this.submitted.at(at)!
    to.reply(id, attempt, code, fields)
    to.flush()
  }

  publish(...events: ChainedEvent[]): void {
    this.events.push(...events)
    for (const subscriber of this.subscribers) subscriber.events(events)
  }

  detach(to: Recipient): void {
    this.detached.push(to)
  }
  async readBarrier(): Promise<void> {
    this.barriers++
    await this.barrier()
  }
  getLease(name: string): LeaseView | null {
    return this.leases.get(name) ?? null
  }
  listLeases(query: { prefix: string; after: string | null; limit: number }) {
    const names = [...this.leases.keys()]
      .filter((name) => name.startsWith(query.prefix) && (query.after === null || name > query.after))
      .sort()
    const page = names.slice(0, query.limit)
    return {
      leases: page.map((name) => this.leases.get(name)!),
      next: page.length < names.length ? (page.at(-1) ?? null) : null,
    }
  }
  readonly quotas = new Map<string, QuotaView>()
  readonly format = 1
  readonly run = run(1)
  readonly tabs = []
  readonly lastDraw = 0
  readonly drawing = false
  getQuota(name: string): QuotaView | null {
    return this.quotas.get(name) ?? null
  }
  listQuotas(query: { prefix: string; after: string | null; limit: number }) {
    const names = [...this.quotas.keys()]
      .filter((name) => name.startsWith(query.prefix) && (query.after === null || name > query.after))
      .sort()
    const page = names.slice(0, query.limit)
    const next = page.length < names.length ? (page.at(-1) ?? null) : null
    return { quotas: page.map((name) => this.quotas.get(name)!), next }
  }
  draw(): number {
    throw new Error('this replica draws nothing')
  }
  onDrawn(): () => void {
    return () => {}
  }
  get leads(): boolean {
    return false
  }
  tell(): boolean {
    return false
  }
  onTold(): () => void {
    return () => {}
  }
  get audit() {
    return { first: auditSeq(this.first), last: auditSeq(this.events.at(-1)?.seq ?? 0) }
  }
  subscribe(subscriber: Subscriber): () => void {
    this.subscribers.add(subscriber)
    return () => this.subscribers.delete(subscriber)
  }
  onRevoked(listener: RevokedListener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
  async close(): Promise<void> {}
}

/** Every acquire and renew is granted with token 7, every quota has version 3, everything else is fine. */
export function granting(command: ClientCommand): Reply {
  switch (command.op) {
    case OP.acquire:
      return { code: OK, fields: [fencingToken(7), command.ttlMs, command.ttlMs, false, command.holder] }
    case OP.renew:
      return { code: OK, fields: [command.token, 10_000, 10_000, false, 'h'] }
    case OP.revoke:
      return { code: OK, fields: [fencingToken(7), false] }
    case OP.cancelWait:
      return { code: OK, fields: [] }
    case OP.quotaSet:
    case OP.quotaDelete:
      return { code: OK, fields: [3, false] }
    default:
      return { code: OK, fields: [false] }
  }
}
