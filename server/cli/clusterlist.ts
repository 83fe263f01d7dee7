/** Lists of members as people write them: `n1=HOST:PORT,n2=HOST:PORT`. Pure. */
import { checkMemberId, LIMITS } from '@leasehold/protocol'
import { type Address, parseAddress } from './address.js'

export interface ListedMember {
  readonly member: string
  readonly address: Address
}

/** One `NAME=HOST:PORT`. The port is where other members come in, so it cannot be 0. Throws an Error that says what is expected. */
export function parseMember(text: string): ListedMember {
  const at = text.indexOf('=')
  if (at < 1) throw new Error(`expects NAME=HOST:PORT, such as n1=127.0.0.1:7421, got "${text}"`)
  const member = checkMemberId(text.slice(0, at), `"${text.slice(0, at)}"`)
  const address = parseAddress(text.slice(at + 1))
  if (address.port === 0) throw new Error(`needs a port other than 0 for ${member}: others must find it there`)
  return { member, address }
}

/** The listed members in the order of their names. Throws an Error that says what is wrong. */
export function parseCluster(text: string): readonly ListedMember[] {
  const listed = text.split(',').map(parseMember)
  if (listed.length > LIMITS.votersMax)
    throw new Error(`lists ${listed.length} members; at most ${LIMITS.votersMax} vote`)
  const twice = (values: readonly string[]) => values.find((value, at) => values.indexOf(value) < at)
  const name = twice(listed.map(({ member }) => member))
  if (name !== undefined) throw new Error(`lists ${name} twice`)
  const address = twice(listed.map((one) => addressText(one.address)))
  if (address !== undefined) throw new Error(`lists ${address} twice`)
  return [...listed].sort((a, b) => (a.member < b.member ? -1 : 1))
}

export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
