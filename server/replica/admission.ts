/**
 * A process's way into the cluster: it asks for a run of its own until it has seen the answer applied. A nonce tells one process
 * from another, so asking twice gives no second run. Nothing of a client may travel before the run is known.
 */
import { type AdmitRun, encodeCommands, INTERNAL_OP, OK, type Reply, type Run } from '@leasehold/protocol'
import type { Entry, MemberView } from '../machine/index.js'
import { REPLICA_LIMITS } from './limits.js'

export interface Asker {
  readonly member: string
  readonly nonce: string
  /** Where clients and members reach it; '' where it says nothing. */
  readonly url: string
  readonly peerUrl: string
  /** The newest format that it knows. */
  readonly formatMax: number
}

export class Admission {
  readonly command: AdmitRun
  readonly body: Uint8Array
  /** Null before it is known. */
  run: Run | null = null
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(asker: Asker) {
    this.command = { op: INTERNAL_OP.admitRun, ...asker }
    this.body = encodeCommands([this.command])
  }

  /** It is time to ask (again). */
  due(nowMs: number): boolean {
    return this.run === null && nowMs - this.#askedMs >= REPLICA_LIMITS.admitAgainMs
  }

  asked(nowMs: number): void {
    this.#askedMs = nowMs
  }

  /** What was asked may be lost: somebody else leads. */
  again(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  /** What the state says of this member. Throws where another process is it now. */
  found({ nonce, run }: MemberView): void {
    if (nonce === this.command.nonce) this.run ??= run
    else if (this.run !== null) throw this.#superseded
  }

  get #superseded(): Error {
    return new Error(`another process runs as member ${this.command.member}: this one must end`)
  }

  /**
   * An entry was applied: true where it brought this process its run. Throws where another process of this member was admitted after it: that
   * one is the member now.
   */
  applied(entry: Entry, replies: readonly Reply[]): boolean {
    if (entry.batch !== 0) return false
    let admitted = false
    entry.commands.forEach((command, i) => {
      if (command.op !== INTERNAL_OP.admitRun || command.member !== this.command.member) return
      const reply = replies[i]
      if (reply?.code !== OK) return
      if (command.nonce !== this.command.nonce) {
        if (this.run !== null) throw this.#superseded
        return
      }
      admitted = this.run === null
      this.run ??= reply.fields[0] as Run
    })
    return admitted
  }
}
