/** What the routes share. Made once, by createHttp. */
import type { Intake } from '../intake/index.js'
import type { Clock, Random, Telemetry } from '../ports/index.js'
import type { Replica } from '../replica/index.js'
import type { Sessions } from '../session/index.js'
import type { HttpLimits } from './limits.js'
import type { MetricsSource } from './telemetry.js'
import type { Waiting } from './waiting.js'

export interface HttpInfo {
  readonly version: string
  /** The address at which clients reach this member, where it was told; else the one that is listened on. */
  readonly url?: string
}

export interface Context {
  readonly replica: Replica
  readonly intake: Intake
  readonly sessions: Sessions
  readonly waiting: Waiting
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly metrics: MetricsSource | null
  readonly limits: HttpLimits
  readonly version: string
  /** The peer that listens there for other members, `member@directory`; null where nobody does. Left out: nobody can tell. */
  readonly whoIsAt?: (address: string) => Promise<string | null>
  /** A backup of this member's state. Left out: there is no such route. */
  readonly backup?: () => Promise<NodeJS.ReadableStream>
  /** Null until it listens. */
  readonly url: () => string | null
}
