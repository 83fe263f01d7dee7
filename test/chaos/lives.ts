/**
 * The lives that clients live while everything around them fails. Each kind is judged by what it can show: short leases
 * and shared names by the model of a lease, long ones by that of a register, rivals and transfers by the audit.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ERRORS, type LeaseView, OK, OP } from '@leasehold/protocol'
import { Over, Player, type PlayersClient } from '../kill/players.js'
import type { Recorder } from '../kill/recorder.js'
import { type ChaosLook, RIVAL_WAIT_MS } from './history.js'

/** Between two requests of a life: enough of them for the checkers, not more than they can judge. */
const PACE_MS = 8

export interface LifeOptions {
  readonly client: PlayersClient
  readonly recorder: Recorder
  readonly looks: ChaosLook[]
  readonly random: () => number
  readonly holder: string
  readonly ttlMs: number
}

const NOTHING_DONE = new Set<number>([ERRORS.OVERLOADED.wire, ERRORS.SHUTTING_DOWN.wire, ERRORS.NO_QUORUM.wire])

export class Life extends Player {
  readonly #options: LifeOptions

  constructor(options: LifeOptions) {
    super(options)
    this.#options = options
  }

  pace(): Promise<void> {
    return sleep(PACE_MS * (0.5 + this.random()))
  }

  /** Reads a name. A read that nobody answers is no part of the history. */
  async look(name: string): Promise<void> {
    const { client, recorder, looks } = this.#options
    const session = await client.session()
    const sentMs = recorder.now()
    try {
      const { code, fields } = await session.send(OP.get, [name]).last
      if (NOTHING_DONE.has(code)) return await client.refused()
      if (code !== OK && code !== ERRORS.LEASE_NOT_FOUND.wire) throw new Error(`get ${name}: ${code}`)
      const view = code === OK ? (fields[0] as LeaseView) : null
      const answeredMs = recorder.now()
      looks.push({ name, token: view?.[2] ?? null, holder: view?.[1] ?? null, sentMs, answeredMs })
    } catch (error) {
      if (error instanceof Over || session.open) throw error
    }
  }
}

/** Takes a name, looks, renews, looks, gives it back: over and over. Whose name it is, is left open. */
export async function leaseLife(life: Life, name: string): Promise<never> {
  for (;;) {
    await life.pace()
    if (life.random() < 0.2) await life.look(name)
    const grant = await life.acquire(name)
    if (grant?.kind !== 'granted') continue
    let known = true
    for (let renewals = Math.floor(life.random() * 4); renewals > 0 && known; renewals--) {
      await life.pace()
      if (life.random() < 0.3) await life.look(name)
      known = (await life.renew(name, grant.token))?.kind === 'granted'
    }
    // Some grants are left to end by themselves.
    if (known && life.random() < 0.9) await life.release(name, grant.token)
  }
}

/** A name of leases that outlast the run is a register: free or somebody's, changed by nobody else. */
export async function registerLife(lifeOf: (turn: number) => Life, name: string): Promise<never> {
  for (let turn = 0; ; turn++) {
    const life = lifeOf(turn)
    await life.pace()
    if (life.random() < 0.5) await life.look(name)
    const grant = await life.acquire(name)
    if (grant?.kind !== 'granted') continue
    await life.pace()
    if (life.random() < 0.5) await life.look(name)
    await life.release(name, grant.token)
  }
}

/** Waits for a name that others want too, claims, renews, then releases it or passes it on to a rival. */
export async function rivalLife(life: Life, name: string, rivals: readonly string[]): Promise<never> {
  for (;;) {
    await life.pace()
    const first = await life.acquire(name, RIVAL_WAIT_MS)
    if (first?.kind !== 'granted' && first?.kind !== 'offered') continue
    const { token } = first
    if (first.kind === 'offered' && (await life.renew(name, token))?.kind !== 'granted') continue
    await life.pace()
    const to = rivals[Math.floor(life.random() * rivals.length)]!
    const passed = life.random() < 0.3 ? await life.transfer(name, token, to) : null
    if (passed?.kind !== 'ended') await life.release(name, token)
  }
}
