/** What a scenario is, and what it is given. */
import type { Cluster } from './cluster.js'
import type { Network } from './network.js'
import type { Figure } from './report.js'
import type { ServerProcess } from './server.js'

export interface Bench {
  readonly seconds: number
  /** Divides large sizes. */
  readonly shrink: number
  /** Another sample of the raw limits; called between loads, while nothing runs. (Before and after a repeat it is done anyway.) */
  measureRaw(): Promise<void>
  /** Servers of a cluster: 1 or 3. */
  readonly members: number
  /** What can be cut between members; null where the machine cannot, or the scenario did not ask. */
  readonly network: Network | null
  /** Where folders may be made: on the same volume as the servers' directories. */
  readonly parent: string
  /** A fresh cluster of its own; it is ended with the repeat at the latest. `flags`: what else each member is told; `inspect`: their inspectors listen. */
  startCluster(flags?: readonly string[], inspect?: boolean): Promise<Cluster>
  /** A fresh cluster of its own, of which the leader alone is of interest. */
  startServer(): Promise<ServerProcess>
  /** A line under the table: what was compared, how it was loaded. Repeated lines appear once. */
  note(text: string): void
  /** A line of progress, for a person who waits. */
  say(text: string): void
}

export interface Scenario {
  readonly name: string
  readonly about: string
  /** How often it is run unless told otherwise. */
  readonly repeats: number
  /** Servers of a cluster unless told otherwise. Default 1. */
  readonly members?: number
  /** Members live in a network that can be cut, where the machine can make one. */
  readonly network?: boolean
  /** Not among those that `all` runs. */
  readonly apart?: boolean
  /** Runs once, and brings the same figures each time. */
  run(bench: Bench): Promise<Figure[]>
}
