/** `leasehold recover`: gives up what a damaged data directory has lost, so that a server can start from what is left. */
import { CliError, command, EXIT, type Io } from './command.js'
import { foundingAddress, foundingFaults, foundingFlag, memberFlags } from './memberflags.js'
import { newId } from './newidentity.js'
import type { Recovery } from './recoverdirectory.js'

/** Of the machine's tables, those whose rows need no other table. */
const STANDALONE = ['meta', 'leases', 'configuration']

export const recover = command({
  name: 'recover',
  summary: 'start over from what a damaged data directory still holds',
  operands: [],
  flags: {
    ...memberFlags({
      name: "the member's name, as the server was started with",
      data: 'the data directory that a server refused',
    }),
    ...foundingFlag,
    'accept-loss': { type: 'boolean', help: 'give up what is lost; without it nothing is done' },
    json: { type: 'boolean', help: 'print the report as JSON' },
  },
  faults: foundingFaults,
  notes: [
    'Restore a backup instead where there is one. The server must not run.',
    'The damaged files are kept in a folder within the directory. What is lost is listed, line by line.',
    'Fencing tokens go on far above any that was ever granted, so that holders from before are fenced off.',
  ],
  async run({ settings, io }) {
    if (!settings['accept-loss']) {
      throw new CliError(EXIT.usage, 'say --accept-loss: this gives up whatever the damaged files no longer tell')
    }
    const { StorageRefusal } = await import('../storage/index.js')
    try {
      print(await recovery(settings.data, settings.name, foundingAddress(settings)), settings.json, io)
      return EXIT.done
    } catch (error) {
      if (error instanceof StorageRefusal) throw new CliError(EXIT.refused, `${settings.data}: ${error.message}`)
      throw error
    }
  },
})

async function recovery(path: string, memberId: string, peerAddress: string): Promise<Recovery> {
  const { recoverDirectory } = await import('./recoverdirectory.js')
  const { Machine } = await import('../machine/index.js')
  return recoverDirectory(path, {
    memberId,
    directoryId: newId(),
    wallMs: Date.now(),
    machine: () => new Machine(),
    standalone: STANDALONE,
    peerAddress,
  })
}

function print({ report, damagedPath }: Recovery, json: boolean, io: Io): void {
  if (json) {
    io.out(`${JSON.stringify({ ...report, damagedPath })}\n`)
    return
  }
  if (report === null) io.out('An earlier recovery that was cut short is finished.\n')
  else {
    const { stateRows, logEntries, auditFirst, auditLast } = report.kept
    const audit = auditFirst > auditLast ? 'no history' : `the history from event ${auditFirst} to ${auditLast}`
    const lost = report.lost.length === 0 ? ['Nothing: what was damaged is no longer needed.'] : report.lost
    io.out(`Lost:\n${lost.map((line) => `  ${line}\n`).join('')}`)
    io.out(`Kept: ${stateRows} rows of state, ${logEntries} log entries after them, ${audit}.\n`)
    io.out(`Fencing tokens go on from ${report.tokenFloor}.\n`)
  }
  io.out(`The damaged files are in ${damagedPath}. The server can be started.\n`)
}
