/**
 * ZooKeeper: three members from Debian's zookeeper with its example configuration, driven over its own protocol. A cycle
 * is an ephemeral node created and deleted. What ends a node is its session, and a session is kept alive as a whole: there is
 * no renewal to compare.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Done, Unit } from '../driver.js'
import { freePorts } from '../ports.js'
import { ZooSession } from './jute.js'
import { PEER_MEMBERS, type Peer, type PeerCluster } from './peer.js'
import { Program, untilReady } from './program.js'

const JAR = '/usr/share/java/zookeeper.jar'
const JAVA = '/usr/bin/java'

class ZooCluster implements PeerCluster {
  readonly #programs: readonly Program[]
  readonly #folder: string
  readonly #sessions: readonly ZooSession[]
  #next = 0

  constructor(programs: readonly Program[], folder: string, sessions: readonly ZooSession[]) {
    this.#programs = programs
    this.#folder = folder
    this.#sessions = sessions
  }

  cycles(label: string): Unit {
    return (slot: number, done: Done) => {
      const session = this.#sessions[slot % this.#sessions.length]!
      const path = `/${label}-${this.#next++}`
      session.createEphemeral(path, (error) => {
        if (error !== 0) return done(false)
        session.remove(path, (failed) => done(failed === 0))
      })
    }
  }

  async renewals(): Promise<null> {
    return null
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.close()
    await Promise.all(this.#programs.map((program) => program.close()))
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Whether the member at this port says that it leads. */
function leads(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end('srvr'))
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk).slice(0, 4_096)
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(/^Mode: leader$/m.test(text)))
  })
}

interface Member {
  readonly id: number
  readonly client: number
  readonly quorum: number
  readonly election: number
}

async function startMember(member: Member, all: readonly Member[], folder: string): Promise<Program> {
  const data = join(folder, `z${member.id}`)
  await mkdir(data)
  await writeFile(join(data, 'myid'), `${member.id}\n`)
  const lines = [
    'tickTime=2000',
    'initLimit=10',
    'syncLimit=5',
    `dataDir=${data}`,
    `clientPort=${member.client}`,
    'clientPortAddress=127.0.0.1',
    '4lw.commands.whitelist=srvr',
    'maxClientCnxns=0',
    ...all.map(({ id, quorum, election }) => `server.${id}=127.0.0.1:${quorum}:${election}`),
  ]
  const file = join(data, 'zoo.cfg')
  await writeFile(file, `${lines.join('\n')}\n`)
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const flags = ['-Xmx512m', '-Dzookeeper.admin.enableServer=false', '-Dzookeeper.jmx.log4j.disable=true']
  return new Program(JAVA, [...flags, '-cp', JAR, main, file], folder)
}

export const zookeeper: Peer = {
  name: 'zookeeper',
  about:
    "zookeeper: Debian's zookeeper, its example configuration, jute over TCP to the leader; a cycle is an ephemeral create + delete, renewals it has none",
  missing: () =>
    existsSync(JAR) && existsSync(JAVA) ? null : 'ZooKeeper is not installed (Debian: zookeeper and a Java)',
  async start(parent, connections) {
    const folder = await mkdtemp(join(parent, 'zookeeper-'))
    const ports = await freePorts(3 * PEER_MEMBERS)
    const members = Array.from({ length: PEER_MEMBERS }, (_, i) => {
      const [client, quorum, election] = ports.slice(3 * i, 3 * i + 3) as [number, number, number]
      return { id: i + 1, client, quorum, election }
    })
    const programs = await Promise.all(members.map((member) => startMember(member, members, folder)))
    const sessions: ZooSession[] = []
    try {
      let leader = 0
      await untilReady(programs, async () => {
        for (const { client } of members) if (await leads(client)) leader = client
        return leader > 0
      })
      await untilReady(programs, async () => {
        while (sessions.length < connections) sessions.push(await ZooSession.open(leader))
        return true
      })
      return new ZooCluster(programs, folder, sessions)
    } catch (error) {
      await new ZooCluster(programs, folder, sessions).close()
      throw error
    }
  },
}
