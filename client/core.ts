/** What the parts of one client share. Made once, by createClient; opens nothing. */
import type { Calls } from './calls.js'
import type { Cancels } from './cancels.js'
import type { Clocks, Timeline } from './clocks.js'
import type { DeadlineWheel } from './deadline.js'
import type { GrantTable } from './grants.js'
import type { Link } from './link.js'
import type { Session } from './session.js'
import type { Watches } from './watches.js'

export interface Core {
  readonly name: string
  readonly holder: string
  readonly drift: number
  readonly timeoutMs: number
  readonly clocks: Clocks
  readonly timeline: Timeline
  readonly wheel: DeadlineWheel
  readonly session: Session
  readonly link: Link
  readonly calls: Calls
  readonly cancels: Cancels
  readonly grants: GrantTable
  readonly watches: Watches
  /** Connections that were opened so far: what a member remembers of one, no other knows. */
  readonly connections: { opened: number }
}
