/** `leasehold recover quorum`: a new cluster of one out of the directory of a member whose majority is gone for good. */
import { CliError, command, EXIT, UsageError } from './command.js'
import { foundingAddress, foundingFaults, foundingFlag, memberFlags } from './memberflags.js'
import { newIdentity } from './newidentity.js'

export const recoverQuorum = command({
  name: 'recover quorum',
  summary: 'start over from the one directory that is left of a cluster',
  operands: [],
  flags: {
    ...memberFlags({
      name: "the member's name, as its server was started with",
      data: 'the directory that is left; it is only read',
    }),
    into: { type: 'string', value: 'DIRECTORY', help: 'the new directory; must be empty or missing (needed)' },
    ...foundingFlag,
    'accept-loss': {
      type: 'boolean',
      help: 'give up what the others may have acknowledged; without it nothing is done',
    },
    json: { type: 'boolean', help: 'print the report as JSON' },
  },
  faults: foundingFaults,
  notes: [
    'For when most members are gone for good. Where they can come back, wait for them: nothing is lost then. No server may run.',
    'It is another cluster, with an id of its own. The other members must never be started again. What may be lost is listed.',
    'Fencing tokens go on far above any that the old cluster can have granted, so that holders from before are fenced off.',
  ],
  async run({ settings, io }) {
    const { name, data, into } = settings
    const missing = [
      ...(into === undefined ? ['--into: is missing'] : []),
      ...(settings['accept-loss'] ? [] : ['--accept-loss: is missing; what the others alone knew is given up']),
    ]
    if (into === undefined || missing.length > 0) throw new UsageError(missing)
    const { recoverLostQuorum, StorageRefusal } = await import('../storage/index.js')
    const { LevelDisk } = await import('./leveldisk.js')
    const { Machine } = await import('../machine/index.js')
    const identity = newIdentity(name)
    try {
      const { lost, tokenFloor } = await recoverLostQuorum(new LevelDisk(data), new LevelDisk(into), {
        identity,
        wallMs: Date.now(),
        machine: () => new Machine(),
        peerAddress: foundingAddress(settings),
      })
      if (settings.json) io.out(`${JSON.stringify({ ...identity, tokenFloor, lost })}\n`)
      else {
        io.out(lost.map((line) => `${line}\n`).join(''))
        io.out(`${into} is the directory of ${name}, the one member of the new cluster ${identity.clusterId}.\n`)
        io.out(`Fencing tokens go on from ${tokenFloor}. The server can be started.\n`)
      }
      return EXIT.done
    } catch (error) {
      if (error instanceof StorageRefusal) throw new CliError(EXIT.refused, `${data} into ${into}: ${error.message}`)
      throw error
    }
  },
})
