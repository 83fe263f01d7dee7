/** Clusters of real processes for tests: members on free ports, ended with the test. */
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePorts } from '#bench/ports.js'
import { leasehold, type Started, scratch, startLeasehold } from './process.js'

export interface ClusterBody {
  readonly clusterId: string
  readonly leader: string | null
  readonly term: number
  readonly members: readonly {
    readonly id: string
    readonly role: string
    readonly url: string | null
    readonly peerUrl: string | null
    readonly voter: boolean
    readonly appliedIndex: number | null
    readonly directoryId: string
  }[]
}

export class TestCluster {
  readonly folder: string
  readonly #flags: readonly string[]
  readonly #ports = new Map<string, { readonly client: number; readonly peer: number }>()
  readonly running = new Map<string, Started>()

  /** `flags`: more of them, for every member. */
  constructor(t: Test, flags: readonly string[] = []) {
    this.folder = scratch(t)
    this.#flags = flags
    t.teardown(async () => {
      for (const { child } of this.running.values()) child.kill('SIGKILL')
      await Promise.all([...this.running.values()].map(({ done }) => done))
    })
  }

  /** Gives these members their ports. */
  async plan(...names: string[]): Promise<void> {
    const ports = await freePorts(2 * names.length)
    names.forEach((name, at) => {
      this.#ports.set(name, { client: ports[2 * at]!, peer: ports[2 * at + 1]! })
    })
  }

  url(name: string): string {
    return `http://127.0.0.1:${this.#ports.get(name)!.client}`
  }
  peerAddress(name: string): string {
    return `127.0.0.1:${this.#ports.get(name)!.peer}`
  }
  data(name: string): string {
    return join(this.folder, name)
  }

  /** Starts a member as one server that is told of no others, unless where they may come in. */
  startAlone(name: string, ...more: string[]): Started {
    const listen = this.url(name).slice('http://'.length)
    const started = startLeasehold(['serve', '--name', name, '--data', this.data(name), '--listen', listen, ...more])
    this.running.set(name, started)
    return started
  }

  /** Starts a member that lists these (all that are planned, unless told). Clients come in where it was planned, unless told. */
  start(
    name: string,
    listed: readonly string[] = [...this.#ports.keys()],
    listen = this.url(name).slice('http://'.length),
  ): Started {
    const cluster = listed.map((one) => `${one}=${this.peerAddress(one)}`).join()
    const flags = { name, data: this.data(name), listen, 'peer-listen': this.peerAddress(name), cluster }
    const args = Object.entries(flags).flatMap(([flag, value]) => (value === '' ? [] : [`--${flag}`, value]))
    const started = startLeasehold(['serve', ...args, ...this.#flags])
    this.running.set(name, started)
    return started
  }

  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child, done } = this.running.get(name)!
    child.kill(signal)
    await done
    this.running.delete(name)
  }

  async body(name: string): Promise<ClusterBody> {
    const answer = await fetch(`${this.url(name)}/v1/cluster`)
    if (!answer.ok) throw new Error(`${name} answers ${answer.status}`)
    return (await answer.json()) as ClusterBody
  }

  /** `leasehold cluster ...` at a member, again and again until it fits: a leader may be new, a learner may lack entries. */
  async change(at: string, ...args: string[]): Promise<ClusterBody> {
    for (;;) {
      const { code, out, err } = await leasehold(['cluster', ...args, '--url', this.url(at), '--json'])
      if (code === 0) return JSON.parse(out) as ClusterBody
      if (!out.includes('MEMBERSHIP_CONFLICT')) throw new Error(`cluster ${args.join(' ')}: ${err}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** What this member says of its cluster, once it is so. */
  async until(name: string, holds: (body: ClusterBody) => boolean): Promise<ClusterBody> {
    for (;;) {
      const body = await this.body(name).catch(() => null)
      if (body !== null && holds(body)) return body
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }

  async #ready(name: string): Promise<void> {
    while (!(await fetch(`${this.url(name)}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 25))
  }

  /** Everybody serves, follows the same leader, and is ready for whatever it is asked. */
  async settled(...names: string[]): Promise<string> {
    await Promise.all(names.map((name) => this.running.get(name)!.said('"event":"serving"')))
    const [first] = await Promise.all(names.map((name) => this.until(name, ({ leader }) => leader !== null)))
    const { leader } = first!
    await Promise.all(names.map((name) => this.until(name, (body) => body.leader === leader)))
    // Who leads, or follows, is not yet admitted: until then it refuses what it is asked.
    await Promise.all(names.map((name) => this.#ready(name)))
    return leader!
  }
}
