/** Flags of all commands that work on a member's directory: serving from it, making one, recovering one. */
import { parseAddress } from './address.js'
import { addressText } from './clusterlist.js'
import type { Flags } from './command.js'
import { ALONE } from './peering.js'

/** Who it is, and where everything of it is kept. */
export function memberFlags({ name, data }: Readonly<Record<'name' | 'data', string>>) {
  return {
    name: {
      type: 'string',
      format: 'memberId',
      value: 'NAME',
      env: 'LEASEHOLD_NAME',
      default: 'n1',
      help: name,
    },
    data: {
      type: 'string',
      value: 'DIRECTORY',
      env: 'LEASEHOLD_DATA',
      default: './data',
      help: data,
    },
  } as const satisfies Flags
}

const PEER_LISTEN = { type: 'string', format: 'address', value: 'HOST:PORT' } as const

/** Of a server that runs. */
export const peerListenFlag = {
  ...PEER_LISTEN,
  env: 'LEASEHOLD_PEER_LISTEN',
  help: "where other members come in (default: this member's address in --cluster; without it nobody does)",
} as const

/** Of a new cluster of one: others that are added later find this one there. What a server listens on need not be reached from elsewhere. */
export const foundingFlag = {
  'peer-listen': {
    ...PEER_LISTEN,
    default: ALONE.advertised,
    help: 'where members that are added later reach this one',
  },
} as const satisfies Flags

/** The value must have its format. */
export function foundingFaults(settings: { readonly 'peer-listen': string }): readonly string[] {
  const { host, port } = parseAddress(settings['peer-listen'])
  if (port !== 0 && host !== '0.0.0.0' && host !== '::') return []
  return [`--peer-listen: others must find this member there, got "${settings['peer-listen']}"`]
}

/** As it is written down. */
export const foundingAddress = ({ 'peer-listen': at }: { readonly 'peer-listen': string }): string =>
  addressText(parseAddress(at))
