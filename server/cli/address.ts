/** Addresses to listen on, and what they mean for who can reach the server. Pure. */
import { isIPv4 } from 'node:net'
import type { Address } from '../peers/index.js'

export { type Address, parseAddress } from '../peers/index.js'

/** True where only this machine can reach it. A name other than `localhost` is not: who knows what it resolves to. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
