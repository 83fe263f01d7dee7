/**
 * A client's connection to one member: requests one way, answers the other, in order, late, or lost with the connection. Both sides
 * learn of its end in their own time.
 */
import type { ClientCommand, LeaseView } from '@leasehold/protocol'
import { ERRORS } from '@leasehold/protocol'
import type { QuotaDesk } from '@leasehold/server/quota'
import type { Recipient, Replica } from '@leasehold/server/replica'
import type { Claims } from './claim.js'
import type { Dice } from './dice.js'
import type { Ledger } from './ledger.js'
import type { Process } from './process.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

const LATENCY_MS = 0.4
const LATENCY_MS_MAX = 30
/** How long the far side may take to notice that a connection is gone. */
const NOTICE_MS_MAX = 3_000

/** A member as clients see it. */
export interface Host {
  readonly name: string
  readonly process: Process
  readonly replica: Replica
  readonly desk: QuotaDesk
  monotonicMs(): number
}

export interface ConnectionParts {
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly ledger: Ledger
  readonly claims: Claims
  readonly trace: Trace
  /** Whether bytes get from the client to the member, and from the member to the client. */
  passes(direction: 'there' | 'back'): boolean
}

/** What was sent under one id and attempt. */
export interface Sent {
  readonly command: ClientCommand
  readonly sentMs: number
  readonly ackedIndex: number
}

type Told = (code: number, fields: readonly unknown[]) => void

export interface Answers {
  answer(id: number, attempt: number, code: number, fields: readonly unknown[]): void
  view(id: number, view: LeaseView | null | undefined): void
  broken(): void
}

/** Codes of answers that a member gives by itself, from no entry. */
const REFUSALS = new Set<number>(
  (['OVERLOADED', 'SHUTTING_DOWN', 'NO_QUORUM', 'OUTCOME_UNKNOWN', 'UPGRADE_PENDING'] as const).map(
    (code) => ERRORS[code].wire,
  ),
)

/** A read of one lease at one member, by whoever knew of an answer from this index when it was asked for. */
export function read(
  { replica, process, name: member }: Host,
  name: string,
  ackedIndex: number,
  { ledger, claims }: Pick<ConnectionParts, 'ledger' | 'claims'>,
  told: (view: LeaseView | null | undefined) => void,
): void {
  const seen = (): void => {
    if (!process.effect()) return
    const { appliedIndex } = replica.status
    claims.hold(
      appliedIndex >= ackedIndex,
      () => `stale read: ${member} reads at ${appliedIndex} what was asked after an answer from ${ackedIndex}`,
    )
    const view = replica.getLease(name)
    if (appliedIndex === ledger.last) {
      const [found, wanted] = [JSON.stringify(view), JSON.stringify(ledger.model.view(name))]
      claims.hold(found === wanted, () => `${member} shows ${name} as ${found}, the model as ${wanted}`)
    }
    told(view)
  }
  replica.readBarrier().then(seen, () => told(undefined))
}

export class Connection implements Recipient {
  open = true
  readonly host: Host
  readonly #parts: ConnectionParts
  readonly #client: Answers
  readonly #sent = new Map<string, Sent>()
  /** What was asked of quotas, and is not answered. */
  readonly #asked = new Map<number, { readonly given: Told; readonly arrived: Told }>()
  readonly #asker: Recipient = {
    reply: (id, _attempt, code, fields) => {
      const asked = this.#asked.get(id)
      if (!this.host.process.effect()) return
      if (asked === undefined) return this.#parts.claims.broken(`${this.host.name} answers ${id} twice`)
      this.#asked.delete(id)
      asked.given(code, fields)
      this.#back(() => asked.arrived(code, fields))
    },
    flush() {},
  }
  #thereMs = 0
  #backMs = 0
  #buffered: [id: number, attempt: number, code: number, fields: readonly unknown[]][] = []

  constructor(host: Host, client: Answers, parts: ConnectionParts) {
    this.host = host
    this.#client = client
    this.#parts = parts
  }

  send(command: ClientCommand, id: number, attempt: number, remainingMs: number): Sent {
    const { ledger, scheduler } = this.#parts
    const sent: Sent = { command, sentMs: scheduler.nowMs, ackedIndex: ledger.ackedIndex }
    this.#sent.set(`${id}:${attempt}`, sent)
    ledger.sent(command)
    this.#there(() => {
      const { host } = this
      host.replica.submit(command, this, id, attempt, host.monotonicMs() + remainingMs)
    })
    return sent
  }

  /** Reads a lease. The view is undefined where the member could not tell. */
  look(id: number, name: string): void {
    const { ackedIndex } = this.#parts.ledger
    const told = (view: LeaseView | null | undefined) => this.#back(() => this.#client.view(id, view))
    this.#there(() => read(this.host, name, ackedIndex, this.#parts, told))
  }

  /** Asks the member's quotas. `given`: as the answer leaves the member; `arrived`: at the client, if ever. */
  quotas(
    id: number,
    ask: (desk: QuotaDesk, to: Recipient, nowMs: number) => void,
    given: Told,
    arrived: Told = () => {},
  ): void {
    this.#asked.set(id, { given, arrived })
    this.#there(() => ask(this.host.desk, this.#asker, this.host.monotonicMs()))
  }

  reply(id: number, attempt: number, code: number, fields: readonly unknown[]): void {
    const { process, name } = this.host
    const { ledger, claims } = this.#parts
    if (!process.effect()) return
    const sent = this.#sent.get(`${id}:${attempt}`)
    if (sent === undefined) {
      claims.broken(`${name} answers ${id}, attempt ${attempt}, that was never sent there`)
      return
    }
    const place = ledger.answered(name, fields, sent)
    if (place === null) claims.hold(REFUSALS.has(code), () => `${name} gives answer ${code} from no entry`)
    this.#buffered.push([id, attempt, code, fields])
  }

  flush(): void {
    if (!this.host.process.effect()) return
    const replies = this.#buffered
    this.#buffered = []
    this.#back(() => {
      for (const [id, attempt, code, fields] of replies) this.#client.answer(id, attempt, code, fields)
    })
  }

  /** The client's side closes it, or it breaks in between: what is under way is lost. */
  close(): void {
    if (!this.open) return
    this.open = false
    const { scheduler, dice } = this.#parts
    scheduler.after(0, () => this.#client.broken())
    const noticedMs =
      scheduler.nowMs + (dice.chance(0.7) ? dice.tailed(LATENCY_MS, LATENCY_MS_MAX) : dice.between(0, NOTICE_MS_MAX))
    this.host.process.at(noticedMs, () => {
      this.host.replica.detach(this)
      this.host.desk.detach(this.#asker)
    })
  }

  #latencyMs(): number {
    return this.#parts.dice.tailed(LATENCY_MS, LATENCY_MS_MAX)
  }

  #there(arrives: () => void): void {
    const { scheduler } = this.#parts
    this.#thereMs = Math.max(this.#thereMs, scheduler.nowMs + this.#latencyMs())
    this.host.process.at(this.#thereMs, () => {
      if (this.open && this.#parts.passes('there')) arrives()
    })
  }

  #back(arrives: () => void): void {
    const { scheduler } = this.#parts
    this.#backMs = Math.max(this.#backMs, scheduler.nowMs + this.#latencyMs())
    scheduler.at(this.#backMs, () => {
      if (this.open && this.#parts.passes('back')) arrives()
    })
  }
}
