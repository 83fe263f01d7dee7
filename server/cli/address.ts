/** Addresses to listen on: `HOST:PORT`, with an IPv6 host in brackets. Pure. */
import { isIPv4, isIPv6 } from 'node:net'

export interface Address {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** Throws an Error that says what is expected. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  const sound = match !== null && port <= 65_535 && (match[1] === undefined || isIPv6(host)) && !/^[0-9.]+$/.test(host)
  if (!sound && !(match !== null && port <= 65_535 && isIPv4(host))) {
    throw new Error(`expects HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420, got "${text}"`)
  }
  return { host, port }
}

/** True where only this machine can reach it. A name other than `localhost` is not: who knows what it resolves to. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
