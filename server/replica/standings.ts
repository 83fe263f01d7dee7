/** What the other members said of themselves last: each tells the others about once a second. */
import type { Configuration, LogIndex, PeerId } from '@leasehold/protocol'
import type { Standing } from './forwards.js'

export class Standings {
  /** How far each was. */
  readonly applied = new Map<PeerId, LogIndex>()
  /** Whether its disk was low. Of whom nothing was heard, nothing is known. */
  readonly low = new Map<PeerId, boolean>()

  /** Of peers that the configuration names; the others are forgotten. */
  heard(from: PeerId, { applied, low }: Standing, configuration: Configuration | null): void {
    const named = configuration?.addresses ?? {}
    for (const peer of this.applied.keys()) {
      if (Object.hasOwn(named, peer)) continue
      this.applied.delete(peer)
      this.low.delete(peer)
    }
    if (!Object.hasOwn(named, from)) return
    this.applied.set(from, applied)
    this.low.set(from, low)
  }
}
