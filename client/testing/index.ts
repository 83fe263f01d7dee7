/** An in-memory cluster for tests, with clocks that tests can move. */
export { createTestCluster, type TestClientOptions, TestCluster, type TestClusterOptions } from './cluster.js'
export { type MachineOptions, TestMachine } from './machine.js'
export { type Tampering, TestMember } from './member.js'
export { type Acceptor, type Direction, type NetworkOptions, TestNetwork } from './network.js'
export { SeededRandom } from './random.js'
export { TestTime } from './time.js'
