/** All planted faults, room by room. */
import { chaosFaults } from './chaos.js'
import { clientFaults } from './client.js'
import { companyFaults } from './company.js'
import { failoverFaults } from './failover.js'
import type { Fault } from './fault.js'
import { keyFaults } from './keys.js'
import { linearizabilityFaults } from './linearizability.js'
import { machineFaults } from './machine.js'
import { peersFaults } from './peers.js'
import { protocolFaults } from './protocol.js'
import { quotaFaults } from './quotas.js'
import { raftFaults } from './raft.js'
import { replicaFaults } from './replica.js'
import { resizingFaults } from './resizing.js'
import { simulationFaults } from './simulation.js'
import { storageFaults } from './storage.js'
import { takerFaults } from './takers.js'
import { upgradeFaults } from './upgrade.js'

export const faults: readonly Fault[] = [
  ...chaosFaults,
  ...clientFaults,
  ...companyFaults,
  ...quotaFaults,
  ...keyFaults,
  ...takerFaults,
  ...failoverFaults,
  ...linearizabilityFaults,
  ...machineFaults,
  ...peersFaults,
  ...protocolFaults,
  ...raftFaults,
  ...replicaFaults,
  ...resizingFaults,
  ...simulationFaults,
  ...storageFaults,
  ...upgradeFaults,
]
