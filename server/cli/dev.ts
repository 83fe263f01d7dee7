/**
 * `leasehold dev`: a cluster on this machine in one command, for trying and for tests. Each member is a process of its own, so that it can be
 * killed like one. Nothing is restarted: who is gone stays gone, and it is said how to start it again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { CliError, command, EXIT, type Io } from './command.js'
import { DevMember } from './devmember.js'
import { lastPort, type PlannedMember, planOf } from './devplan.js'
import { HttpClient } from './http.js'
import { NODE_FLAGS } from './nodeflags.js'

const PORT_MAX = 65_535
/** Longer than a member takes for a clean shutdown; then it is killed. */
const STOP_MS_MAX = 6_000
/** How members are asked whether they are ready. */
const READY_MS = { answer: 1_000, between: 50 } as const
const COLORS = ['cyan', 'yellow', 'magenta', 'green', 'blue'] as const

export const dev = command({
  name: 'dev',
  summary: 'run a cluster of three on this machine',
  operands: [],
  longRunning: true,
  flags: {
    members: { type: 'integer', min: 1, max: COLORS.length, value: 'N', default: 3, help: 'how many members' },
    port: {
      type: 'integer',
      min: 1,
      max: PORT_MAX,
      value: 'PORT',
      default: 7420,
      help: 'the first of the ports: two for each member, for clients and for members',
    },
    data: {
      type: 'string',
      value: 'DIRECTORY',
      default: './data-dev',
      help: 'where everything is kept, a folder for each member; made if it is missing',
    },
    'log-level': {
      type: 'string',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      value: 'LEVEL',
      default: 'info',
      help: 'how much the members tell',
    },
  },
  faults: (settings) =>
    lastPort(settings) > PORT_MAX ? [`--port ${settings.port}: there are not enough ports after it`] : [],
  notes: [
    'Each line of a log begins with the name of its member. Ctrl-C ends all members; the data stays, and the next start goes on with it.',
    'A member that ends is not started again; the line to start it with is printed. Exits 1 when one cannot start, or when all are gone.',
  ],
  async run({ settings, io }) {
    const { members, port, data } = settings
    const plan = planOf({ members, port, data, logLevel: settings['log-level'] })
    return new DevCluster(plan, io).run()
  },
})

class DevCluster {
  readonly #plan: readonly PlannedMember[]
  readonly #io: Io
  readonly #members: DevMember[] = []
  readonly #serving = new Set<string>()
  readonly #ending = new AbortController()
  #stopping = false
  #failed = false

  constructor(plan: readonly PlannedMember[], io: Io) {
    this.#plan = plan
    this.#io = io
  }

  async run(): Promise<number> {
    for (const { name, url, peerAddress } of this.#plan) this.#say(`${name}  ${url}  members: ${peerAddress}`)
    // Ctrl-C reaches the members, too, by themselves: they take a second signal so soon for the same one.
    const stop = () => this.#stop()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
    process.stdout.on('error', stop)
    const main = fileURLToPath(new URL('./main.js', import.meta.url))
    for (const plan of this.#plan) {
      this.#members.push(
        new DevMember(plan, [process.execPath, ...NODE_FLAGS, ...process.execArgv, main], {
          line: (member, text) => this.#io.out(`${this.#prefix(member)} ${text}\n`),
          serving: (member, pid) => this.#began(member, pid),
          ended: (member, how) => this.#ended(member, how),
        }),
      )
    }
    await Promise.all(this.#members.map(({ done }) => done))
    this.#ending.abort()
    if (this.#failed) throw new CliError(EXIT.refused, 'not all members could start: see above')
    if (!this.#stopping) throw new CliError(EXIT.refused, 'all members are gone')
    return EXIT.done
  }

  #began({ name }: PlannedMember, pid: number): void {
    this.#serving.add(name)
    this.#say(`${name} serves, as process ${pid}`)
    if (this.#serving.size === this.#plan.length) void this.#untilReady()
  }

  /** They listen before they have a leader: until then, who asks them is told to come again. */
  async #untilReady(): Promise<void> {
    const { signal } = this.#ending
    for (const { url } of this.#plan) {
      const http = new HttpClient({ urls: [url], clientName: 'dev', timeoutMs: READY_MS.answer, signal })
      const ready = () => http.ask({ method: 'GET', path: '/readyz' }).catch(() => null)
      while (!signal.aborted && (await ready()) === null) await sleep(READY_MS.between)
    }
    if (signal.aborted) return
    this.#say(`all members serve: try "leasehold status --url ${this.#plan[0]!.url}"; Ctrl-C ends them`)
  }

  #ended(member: PlannedMember, how: string): void {
    if (this.#stopping) return
    this.#say(`${member.name} ended ${how}`)
    if (this.#serving.has(member.name)) {
      this.#say(`start it again with: leasehold ${member.args.join(' ')}`)
      return
    }
    this.#failed = true
    this.#stop()
  }

  #stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#ending.abort()
    for (const member of this.#members) member.stop('SIGTERM')
    setTimeout(() => {
      for (const member of this.#members) member.stop('SIGKILL')
    }, STOP_MS_MAX).unref()
  }

  #prefix({ name }: PlannedMember): string {
    const at = this.#plan.findIndex((one) => one.name === name)
    return this.#io.color ? styleText(COLORS[at]!, `${name} |`, { validateStream: false }) : `${name} |`
  }

  #say(text: string): void {
    this.#io.err(`dev: ${text}\n`)
  }
}
