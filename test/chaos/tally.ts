/** What a whole run did, added up from its scenes: how often each kind of trouble, what clients saw of it. Pure. */
import { MIXED, type Nemesis, type Struck } from './nemeses.js'
import type { SceneResult } from './scene.js'

const STRUCK: readonly Struck[] = ['leader', 'follower', 'several']

/** Lines that say more of the violation before them. */
const EXPLAINS = /^(?:\s|key "|view of )/

export class Tally {
  readonly #possible: readonly string[]
  readonly #inTurn: ReadonlySet<string>
  readonly #roles: boolean
  readonly #struck = new Map<string, Record<Struck, number>>()
  #requests = 0
  #unknown = 0
  #violations = 0
  #tokens = { admitted: 0, denied: 0, undecided: 0 }

  /** `possible`: what can be done here. `roles`: there are a leader and followers. */
  constructor(possible: readonly Pick<Nemesis, 'name' | 'inTurn'>[], roles: boolean) {
    this.#possible = possible.map(({ name }) => name).filter((name) => name !== MIXED)
    this.#inTurn = new Set(possible.filter(({ inTurn }) => roles && inTurn === true).map(({ name }) => name))
    this.#roles = roles
    for (const name of this.#possible) this.#struck.set(name, { leader: 0, follower: 0, several: 0 })
  }

  add({ strikes, requests, unknown, found, tokens }: Omit<SceneResult, 'operations' | 'acknowledged'>): void {
    for (const { kind, struck } of strikes) {
      const counts = this.#struck.get(kind) ?? { leader: 0, follower: 0, several: 0 }
      counts[struck]++
      this.#struck.set(kind, counts)
    }
    this.#requests += requests
    this.#unknown += unknown
    for (const kind of ['admitted', 'denied', 'undecided'] as const) this.#tokens[kind] += tokens[kind]
    this.#violations += found.filter((line) => !EXPLAINS.test(line)).length
  }

  /** What could have been done and was not, a sentence each. A run of one kind alone need not strike everybody. */
  get missing(): string[] {
    const missing = this.#possible.filter((name) => this.#count(name) === 0).map((name) => `never done: ${name}`)
    const roles = ['leader', 'follower'] as const
    for (const [name, counts] of this.#struck) {
      if (!this.#inTurn.has(name) || this.#count(name) === 0) continue
      missing.push(...roles.filter((role) => counts[role] === 0).map((role) => `never done to a ${role}: ${name}`))
    }
    if (!this.#roles || this.#possible.length < 2) return missing
    return [...missing, ...roles.filter((role) => this.#of(role) === 0).map((role) => `never done to a ${role}`)]
  }

  get lines(): string[] {
    const kinds = [...this.#struck].map(([name, counts]) => {
      const to = STRUCK.filter((role) => counts[role] > 0).map((role) => `${role} ${counts[role]}`)
      return `${name.padEnd(44)} ${String(this.#count(name)).padStart(5)}  ${to.join(', ')}`.trimEnd()
    })
    const { requests, unknown, violations } = {
      requests: this.#requests,
      unknown: this.#unknown,
      violations: this.#violations,
    }
    const { admitted, denied, undecided } = this.#tokens
    return [
      ...kinds,
      `quotas: ${admitted} tokens admitted, ${denied} takes denied by members, ${undecided} without an answer`,
      `${requests} requests, ${unknown} outcomes unknown, ${violations} violations`,
    ]
  }

  #count(name: string): number {
    const { leader, follower, several } = this.#struck.get(name)!
    return leader + follower + several
  }

  #of(role: Struck): number {
    return [...this.#struck.values()].reduce((sum, counts) => sum + counts[role], 0)
  }
}
