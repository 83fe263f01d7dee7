import { complies } from './compliance.js'
import { TcpWorld } from './tcpworld.js'

complies('tcp', async () => new TcpWorld())
