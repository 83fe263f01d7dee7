/** `leasehold backup` and `leasehold restore`: a cluster's state in a file, and a new cluster out of it. */
import { createReadStream } from 'node:fs'
import { access, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CliError, command, EXIT } from './command.js'
import { connect, connectionFlags } from './connection.js'
import { foundingAddress, foundingFaults, foundingFlag, memberFlags } from './memberflags.js'
import { newIdentity } from './newidentity.js'

const { timeout: _, ...streamFlags } = connectionFlags

export const backup = command({
  name: 'backup',
  summary: "write a cluster's state and history into a file, while it runs",
  operands: [{ name: 'FILE' }],
  flags: streamFlags,
  notes: [
    'It holds what the member that is asked has written down, which is a moment ago. The file appears once it is whole.',
  ],
  async run({ settings, operands: [path = ''], io }) {
    const http = connect({ ...settings, timeout: '10s' }, io)
    const bytes = await save(path, http.bytes('/v1/cluster/backup'))
    io.out(settings.json ? `${JSON.stringify({ file: path, bytes })}\n` : `${bytes} bytes in ${path}\n`)
    return EXIT.done
  },
})

/** Durable under its name, or not there. Returns its size. */
async function save(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const partial = `${path}.partial`
  let bytes = 0
  try {
    const taken = await open(path, 'wx')
    await taken.close()
  } catch (error) {
    throw new CliError(EXIT.refused, `${path}: ${(error as Error).message}`)
  }
  try {
    const file = await open(partial, 'w')
    try {
      for await (const piece of pieces) {
        await file.writeFile(piece)
        bytes += piece.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
    const folder = await open(dirname(path), 'r')
    await folder.sync().finally(() => folder.close())
    return bytes
  } catch (error) {
    await rm(partial, { force: true })
    await rm(path, { force: true })
    if (error instanceof CliError) throw error
    throw new CliError(EXIT.refused, `${path}: ${(error as Error).message}`)
  }
}

export const restore = command({
  name: 'restore',
  summary: 'make a data directory out of a backup, for a new cluster of one',
  operands: [{ name: 'FILE' }],
  flags: {
    ...memberFlags({
      name: "the member's name, as the server will be started with",
      data: 'where it goes; must be empty or missing',
    }),
    ...foundingFlag,
    json: { type: 'boolean', help: 'print the report as JSON' },
  },
  faults: foundingFaults,
  notes: [
    'It is another cluster, with an id of its own: let no client use it beside the old one. Other members are added afterwards.',
    'Fencing tokens go on far above any that the old cluster can have granted, so that holders from before are fenced off.',
  ],
  async run({ settings, operands: [path = ''], io }) {
    await access(path).catch((error: Error) => {
      throw new CliError(EXIT.refused, `${path}: ${error.message}`)
    })
    const { restoreBackup, StorageRefusal } = await import('../storage/index.js')
    const { LevelDisk } = await import('./leveldisk.js')
    const { Machine } = await import('../machine/index.js')
    const identity = newIdentity(settings.name)
    try {
      const report = await restoreBackup(new LevelDisk(settings.data), createReadStream(path), {
        identity,
        wallMs: Date.now(),
        machine: () => new Machine(),
        peerAddress: foundingAddress(settings),
      })
      const { tokenFloor } = report
      if (settings.json) io.out(`${JSON.stringify({ ...identity, tokenFloor })}\n`)
      else {
        io.out(
          `${settings.data} is the directory of ${settings.name}, the one member of the new cluster ${identity.clusterId}.\n`,
        )
        io.out(`Fencing tokens go on from ${tokenFloor}. The server can be started.\n`)
      }
      return EXIT.done
    } catch (error) {
      if (error instanceof StorageRefusal && error.code === 'BAD_COPY') {
        throw new CliError(EXIT.refused, `${path}: ${error.message}`)
      }
      if (error instanceof StorageRefusal) throw new CliError(EXIT.refused, `${settings.data}: ${error.message}`)
      throw error
    }
  },
})
