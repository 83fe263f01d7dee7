/**
 * What members say to each other about batches on their way to the leader (CHANNEL.forward). A batch is named by the run of
 * its origin's process and its number there; a leader takes those of its own term alone, or else a message that was long on its way
 * would be appended in a reign that its sender knew nothing of.
 */
import type { Draw, LogIndex, Run, Term } from '@leasehold/protocol'

export const FORWARD = { batch: 1, refusal: 2, standing: 3, draw: 4, told: 5 } as const

export interface ForwardedBatch {
  readonly kind: typeof FORWARD.batch
  /** The term of the leader that it is meant for. */
  readonly term: Term
  /** The member id of its origin. */
  readonly member: string
  /** 0 with batch 0: not counted (a process asks for its run). */
  readonly run: Run
  readonly batch: number
  /** The commands, as encodeCommands gives them. */
  readonly body: Uint8Array
}

export const REFUSAL = {
  /** The queue is full: come back later. */
  full: 1,
  /** Not the leader, or not in that term. */
  notLeading: 2,
} as const
export type RefusalReason = (typeof REFUSAL)[keyof typeof REFUSAL]

/** Of one batch, which this sending of it did not bring into the log. */
export interface ForwardRefusal {
  readonly kind: typeof FORWARD.refusal
  /** Of the message that is refused. */
  readonly term: Term
  readonly run: Run
  readonly batch: number
  readonly reason: RefusalReason
}

/** How a member is: each tells the others now and then. */
export interface Standing {
  readonly kind: typeof FORWARD.standing
  readonly term: Term
  /** How far it is, for people: nothing is decided by it. */
  readonly applied: LogIndex
  /** Its disk is low: whether growth is taken, and who is to lead, depends on it. */
  readonly low: boolean
}

/** A member's draw, for the leader of this term. Sent again until it is seen applied: nobody answers it. */
export interface ForwardedDraw {
  readonly kind: typeof FORWARD.draw
  readonly term: Term
  readonly draw: Draw
}

/** What the quotas of one member say to those of another. It may be lost. */
export interface Told {
  readonly kind: typeof FORWARD.told
  readonly term: Term
  readonly body: Uint8Array
}

export type Forward = ForwardedBatch | ForwardRefusal | Standing | ForwardedDraw | Told
