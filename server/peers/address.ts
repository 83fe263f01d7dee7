/** Addresses: `HOST:PORT`, with an IPv6 host in brackets. Pure. */
import { isIPv4, isIPv6 } from 'node:net'

export interface Address {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** Throws an Error that says what is expected. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text)
  const [, bracketed, plain = ''] = match ?? []
  const host = bracketed ?? plain
  const port = Number(match?.[3])
  const numeric = /^[0-9.]+$/.test(host)
  const sound = bracketed === undefined ? host !== '' && (!numeric || isIPv4(host)) : isIPv6(bracketed)
  if (!sound || !(port <= 65_535)) {
    throw new Error(`expects HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420, got "${text}"`)
  }
  return { host, port }
}
