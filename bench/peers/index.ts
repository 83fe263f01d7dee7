/** The services that this one is measured beside. */
import { etcd } from './etcd.js'
import type { Peer } from './peer.js'
import { zookeeper } from './zookeeper.js'

export const PEERS: readonly Peer[] = [etcd, zookeeper]
