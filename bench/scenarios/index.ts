/** All scenarios, in the order in which `all` runs them. */
import type { Scenario } from '../scenario.js'
import { catchup } from './catchup.js'
import { check } from './check.js'
import { contend64 } from './contend.js'
import { endure } from './endure.js'
import { expire } from './expire.js'
import { failover } from './failover.js'
import { fairness } from './fairness.js'
import { heavy } from './heavy.js'
import { keyed } from './keyed.js'
import { lease } from './lease.js'
import { million } from './million.js'
import { overdraft } from './overdraft.js'
import { peers } from './peers.js'
import { quota } from './quota.js'
import { reads } from './reads.js'
import { renew } from './renew.js'

export const SCENARIOS: readonly Scenario[] = [
  lease,
  renew,
  contend64,
  check,
  expire,
  million,
  reads,
  failover,
  catchup,
  endure,
  peers,
  quota,
  overdraft,
  fairness,
  keyed,
  heavy,
]
