/** `leasehold status`: is the server up, does it serve, and what does it hold. */
import { type ClusterBody, membersTable } from './cluster.js'
import { command, EXIT } from './command.js'
import { connect, connectionFlags } from './connection.js'
import { pairs, seconds } from './output.js'

export const status = command({
  name: 'status',
  summary: 'show whether the server serves, its leader, term and members',
  operands: [],
  flags: connectionFlags,
  notes: ['Exits 3 when the server is up but not ready to serve.'],
  async run({ settings, io }) {
    const http = connect(settings, io)
    const ready = await http.ask({ method: 'GET', path: '/readyz', expect: [503] })
    const { body, text } = await http.ask<ClusterBody>({ method: 'GET', path: '/v1/cluster' })
    if (settings.json) io.out(`${text.trimEnd()}\n`)
    else {
      io.out(
        pairs(
          [
            ['ready', ready.status === 200 ? 'yes' : 'no'],
            ['cluster', body.clusterId],
            ['leader', body.leader ?? 'none'],
            ['term', String(body.term)],
            ['commit index', String(body.commitIndex)],
            ['cluster time', seconds(body.clusterMs)],
            ['version', body.version],
            ['format', String(body.format)],
          ],
          io.color,
        ),
      )
      io.out(`\n${membersTable(body, io.color)}`)
    }
    return ready.status === 200 ? EXIT.done : EXIT.unavailable
  },
})
