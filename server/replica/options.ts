/** What a replica is made of: the wiring brings the log, the store and the machine; tests also bring narrower limits. */
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { Headroom, Store } from '../storage/index.js'
import type { CheckpointOptions } from './checkpoint.js'
import type { GatheringOptions } from './gathering.js'
import type { ReplicatedLog } from './log.js'
import type { FreshMachine, ReplaceableMachine } from './replaceable.js'
import type { RetentionOptions } from './retention.js'
import type { StateMachine } from './statemachine.js'

export interface ReplicaOptions extends GatheringOptions, CheckpointOptions, RetentionOptions {
  readonly log: ReplicatedLog
  readonly store: Store
  readonly machine: StateMachine
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly memberId: string
  /** Watches the disk: what that is for, growth.ts says. Left out: nobody watches. */
  readonly headroom?: Pick<Headroom, 'low' | 'check'>
  /** For a snapshot to be loaded into; left out: the usual one. */
  readonly freshMachine?: () => FreshMachine
  /** Where clients and members reach this one, for the others to tell; '' or left out: nothing is said. */
  readonly url?: string
  readonly peerUrl?: string
  /** Ends the process: a disk that hangs, a machine that throws. Nobody gets an answer afterwards. */
  readonly fatal: (error: Error) => void
}

/** As the parts of a replica have it. */
export interface PartsOptions extends ReplicaOptions {
  readonly machine: ReplaceableMachine
  readonly headroom: Pick<Headroom, 'low' | 'check'>
}
