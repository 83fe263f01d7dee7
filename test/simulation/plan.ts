/** What a seed makes of its world: how many members and clients, which faults, what limits. Worlds differ, so that each looks elsewhere. */
import { MACHINE_LIMITS, type MachineLimits } from '@leasehold/server/machine'
import type { RaftLimits } from '@leasehold/server/raft'
import type { Dice } from './dice.js'
import { BETWEEN_MEMBERS, BY_THEMSELVES, FAULTS, type FaultKind } from './faultkinds.js'

export interface Plan {
  readonly members: number
  readonly clients: number
  /** Lives that each client lives at the same time. */
  readonly livesPerClient: number
  /** For how long faults are injected, in true time. */
  readonly faultyMs: number
  readonly faults: readonly FaultKind[]
  /** Between two faults, on average. */
  readonly pauseMs: number
  readonly limits: MachineLimits
  readonly replica: {
    readonly batchCommandsMax: number
    readonly checkpointRows: number
    readonly tailEntries: number
  }
  readonly raft: Partial<RaftLimits>
}

const SIMULATED_MS = 120_000

export function planOf(dice: Dice, sizes: readonly number[]): Plan {
  const members = dice.pick(sizes)
  const possible = FAULTS.filter((kind) => (members > 1 || !BETWEEN_MEMBERS.has(kind)) && !BY_THEMSELVES.has(kind))
  // Each kind in about two of three worlds: what hides behind one fault shows where that one is missing.
  const some = possible.filter(() => dice.chance(0.65))
  const plan: Plan = {
    members,
    clients: 4 + dice.int(5),
    // Mostly one: a world costs as much as is asked for in it, and two worlds find more than one that is twice as busy.
    livesPerClient: dice.pick([1, 1, 1, 1, 2, 3]),
    faultyMs: SIMULATED_MS,
    faults: some.length > 0 ? some : possible,
    pauseMs: dice.between(800, 5_000),
    limits: {
      ...MACHINE_LIMITS,
      sweepPerEntryMax: dice.pick([1, 2, 256]),
      endingsPerRow: dice.pick([2, 256]),
      renewalsPerRow: dice.pick([2, 16, 256]),
      recordsPerPrincipalMax: dice.pick([20, 100_000]),
    },
    replica: {
      batchCommandsMax: dice.pick([1, 4, 2_048]),
      checkpointRows: dice.pick([4, 64, 8_192]),
      // Whoever falls behind the tail needs a snapshot.
      tailEntries: dice.pick([8, 64, 8_192]),
    },
    // Where appends are small, a leader's first entry does not travel with the older ones that it brings.
    raft: { appendEntriesMax: dice.pick([1, 4, 1_024]) },
  }
  // Of short ones many end while somebody still holds tokens.
  return { ...plan, limits: { ...plan.limits, quotaGrantMs: dice.pick([700, 1_500, 5_000]) } }
}
