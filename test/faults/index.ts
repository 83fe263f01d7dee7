/** All planted faults, room by room. */
import type { Fault } from './fault.js'
import { machineFaults } from './machine.js'
import { protocolFaults } from './protocol.js'
import { replicaFaults } from './replica.js'
import { storageFaults } from './storage.js'

export const faults: readonly Fault[] = [...machineFaults, ...protocolFaults, ...replicaFaults, ...storageFaults]
