/** `leasehold cluster ...`: who the members are, and changes of them. The leader makes changes; any member may be asked. */
import { parseMember } from './clusterlist.js'
import { type Command, command, EXIT, type Io } from './command.js'
import { connect, connectionFlags } from './connection.js'
import type { Answer, Query } from './http.js'
import { table } from './output.js'

export interface ClusterBody {
  readonly clusterId: string
  readonly leader: string | null
  readonly term: number
  readonly commitIndex: number
  readonly clusterMs: number
  readonly version: string
  readonly format: number
  readonly members: readonly {
    readonly id: string
    readonly role: string
    readonly url: string | null
    readonly peerUrl: string | null
    readonly voter: boolean
    readonly appliedIndex: number | null
    readonly directoryId: string
    readonly reached: boolean | null
  }[]
}

/** A change goes through two majorities, and may wait for a leader to be ready for it. */
const CHANGE_MS = 15_000
const NAME = { name: 'NAME', format: 'peer' } as const
const AFTER = 'Any member may be asked: it sends the question on to the leader.'

/** One line a member. */
export function membersTable({ members }: ClusterBody, color: boolean): string {
  const rows = members.map((member) => [
    member.id,
    member.role,
    member.voter ? 'voter' : 'learner',
    member.url ?? '-',
    member.peerUrl ?? '-',
    member.appliedIndex === null ? '-' : String(member.appliedIndex),
    member.directoryId,
  ])
  return table(['MEMBER', 'ROLE', 'VOTES', 'URL', 'PEERS', 'APPLIED', 'DIRECTORY'], rows, color)
}

function told({ body, text }: Answer<ClusterBody>, json: boolean, io: Io): number {
  io.out(json ? `${text.trimEnd()}\n` : membersTable(body, io.color))
  return EXIT.done
}

/** A command that asks for one change and shows the members as they are then. */
function change(
  name: string,
  summary: string,
  operand: Command['operands'][number],
  notes: readonly string[],
  query: (operand: string) => Query,
): Command {
  return command({
    name: `cluster ${name}`,
    summary,
    operands: [operand],
    flags: connectionFlags,
    notes: [...notes, AFTER],
    async run({ settings, operands: [first = ''], io }) {
      const http = connect(settings, io)
      return told(await http.ask<ClusterBody>({ waitMs: CHANGE_MS, ...query(first) }), settings.json, io)
    },
  })
}

const status = command({
  name: 'cluster status',
  summary: 'show the members of the cluster',
  operands: [],
  flags: connectionFlags,
  notes: [
    'As the member that is asked knows it. How far the others are is what they told it last, about once a second.',
  ],
  async run({ settings, io }) {
    const http = connect(settings, io)
    return told(await http.ask<ClusterBody>({ method: 'GET', path: '/v1/cluster' }), settings.json, io)
  },
})

const path = (name: string) => `/v1/cluster/members/${encodeURIComponent(name)}`

export const clusterCommands: readonly Command[] = [
  status,
  change(
    'add',
    'add a member, which learns until it is promoted',
    { name: 'NAME=HOST:PORT', format: 'member' },
    [
      'Start it first, with an empty directory and a --cluster that lists it beside the others: it waits to be added.',
      'A member whose directory was lost is added under its old name, and promoted as NAME@DIRECTORY (see cluster status).',
    ],
    (operand) => {
      const { member } = parseMember(operand)
      return {
        method: 'POST',
        path: '/v1/cluster/members',
        body: { id: member, peerUrl: operand.slice(operand.indexOf('=') + 1) },
      }
    },
  ),
  change(
    'promote',
    'make a learner a voter',
    NAME,
    [
      'In the place of an older directory of the same member, where there is one. Refused while it lacks too much of the log.',
    ],
    (name) => ({ method: 'POST', path: `${path(name)}/promote` }),
  ),
  change(
    'remove',
    'remove a member',
    NAME,
    ['Refused where no majority of the remaining voters answers. Stop its process afterwards.'],
    (name) => ({ method: 'DELETE', path: path(name) }),
  ),
  change('transfer', 'hand leadership to another member', NAME, [], (name) => ({
    method: 'POST',
    path: '/v1/cluster/transfer',
    body: { to: name },
  })),
]
