/**
 * A network that can be cut, of network namespaces: one for each member, all linked to a hub that forwards between them, and
 * in which clients live. What one member sends to another is dropped by the hub in silence, direction by direction,
 * as a broken network would; clients reach everybody all the while. Linux, root and iproute2 are needed.
 *
 * Whoever makes the network stays outside; whatever uses it runs inside the hub. Names carry the maker's process
 * id, so that what a killed maker left behind is found and removed by the next one.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

const NAME = /^leasehold-(\d+)-(?:hub|m\d+)$/
const LINK_CHARS_MAX = 15

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

export const hubName = (pid: number): string => `leasehold-${pid}-hub`
export const memberSpace = (pid: number, member: number): string => `leasehold-${pid}-m${member}`
/** Of the member, and of the hub on the member's link. Members are numbered from 1. */
export const memberAddress = (member: number): string => `10.77.${member}.2`
const hubAddress = (member: number): string => `10.77.${member}.1`

/** Why no such network can be made here; null: it can. */
export function networkMissing(): string | null {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const tried = hubName(process.pid)
  const made = spawnSync('ip', ['netns', 'add', tried], { encoding: 'utf8' })
  if (made.error !== undefined) return 'network namespaces need iproute2 (ip)'
  if (made.status !== 0) return `no network namespace can be made: ${made.stderr.trim()}`
  const ruled = spawnSync('ip', ['-n', tried, 'rule', 'add', 'from', '10.77.1.2', 'to', '10.77.2.2', 'blackhole'], {
    encoding: 'utf8',
  })
  ip('netns', 'del', tried)
  return ruled.status === 0 ? null : `nothing can be dropped: ${ruled.stderr.trim()}`
}

/** The namespaces and links of a network, from outside. */
export class NetworkMaker {
  readonly hub = hubName(process.pid)
  readonly #members: number
  #closed = false

  constructor(members: number) {
    this.#members = members
    removeLeftovers()
    try {
      ip('netns', 'add', this.hub)
      ip('-n', this.hub, 'link', 'set', 'lo', 'up')
      ip('netns', 'exec', this.hub, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
      for (let member = 1; member <= members; member++) this.#link(member)
    } catch (error) {
      this.close()
      throw error
    }
  }

  #link(member: number): void {
    const space = memberSpace(process.pid, member)
    const link = `m${member}`.slice(0, LINK_CHARS_MAX)
    ip('netns', 'add', space)
    ip('-n', space, 'link', 'set', 'lo', 'up')
    ip('-n', this.hub, 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'hub', 'netns', space)
    ip('-n', this.hub, 'addr', 'add', `${hubAddress(member)}/30`, 'dev', link)
    ip('-n', this.hub, 'link', 'set', link, 'up')
    ip('-n', space, 'addr', 'add', `${memberAddress(member)}/30`, 'dev', 'hub')
    ip('-n', space, 'link', 'set', 'hub', 'up')
    ip('-n', space, 'route', 'add', 'default', 'via', hubAddress(member))
  }

  /** Ends whatever still runs inside, by process id, and removes everything. May be called twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (let member = 1; member <= this.#members; member++) remove(memberSpace(process.pid, member))
    remove(this.hub)
  }
}

function remove(space: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' })
  for (const pid of (pids.stdout ?? '').split('\n').filter((line) => /^\d+$/.test(line))) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
  spawnSync('ip', ['netns', 'del', space])
}

/** Namespaces whose maker is gone. */
function removeLeftovers(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const space = line.split(' ')[0] ?? ''
    const maker = Number(NAME.exec(space)?.[1] ?? 0)
    if (maker > 0 && !lives(maker)) remove(space)
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The environment's word for the process id that made the network in whose hub a program runs. */
const MAKER = 'TEST_NETWORK_MAKER'

/** The network in whose hub this process runs; null: none. */
export function networkHere(): Network | null {
  const maker = Number(process.env[MAKER] ?? 0)
  return maker > 0 ? new Network(maker) : null
}

/** Runs this very program once more, in the hub of a network made for it. Resolves with its exit code; nothing is left. */
export async function insideNetwork(members: number): Promise<number> {
  const maker = new NetworkMaker(members)
  process.once('exit', () => maker.close())
  try {
    const command = ['netns', 'exec', maker.hub, process.execPath, ...process.execArgv, ...process.argv.slice(1)]
    const env = { ...process.env, [MAKER]: String(process.pid) }
    const child = spawn('ip', command, { stdio: 'inherit', env })
    const [code] = (await once(child, 'close')) as [number | null]
    return code ?? 1
  } finally {
    maker.close()
  }
}

/** What can be done to the network from inside its hub. */
export class Network {
  readonly #maker: number
  #cuts: string[][] = []

  /** `maker`: the process id that made it. */
  constructor(maker: number) {
    this.#maker = maker
  }

  /** Put in front of a command, so that it runs where this member lives. The process id stays the command's. */
  under(member: number): string[] {
    return ['ip', 'netns', 'exec', memberSpace(this.#maker, member)]
  }

  /** Nothing that the one sends reaches the other any more. */
  cutOneWay(from: number, to: number): void {
    const rule = ['from', memberAddress(from), 'to', memberAddress(to), 'blackhole']
    ip('-n', hubName(this.#maker), 'rule', 'add', ...rule)
    this.#cuts.push(rule)
  }

  cut(a: number, b: number): void {
    this.cutOneWay(a, b)
    this.cutOneWay(b, a)
  }

  heal(): void {
    for (const rule of this.#cuts.splice(0)) ip('-n', hubName(this.#maker), 'rule', 'del', ...rule)
  }
}
