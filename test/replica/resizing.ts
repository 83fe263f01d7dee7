/**
 * Clients that take, renew and give back leases through whichever member there is while the cluster is resized, and the changes of its
 * members as an operator makes them. Everything is recorded, for the judges of histories.
 */
import { ERRORS, ProtocolError, type Reply } from '@leasehold/protocol'
import type { MembershipChange } from '@leasehold/server/replica'
import { type ChaosLook, PREFIX } from '../chaos/history.js'
import { ttlMsOf } from '../chaos/load.js'
import type { Outcome } from '../kill/history.js'
import { seeded } from '../kill/players.js'
import { type Recorded, Recorder, type Wish } from '../kill/recorder.js'
import type { Cluster, Member } from './cluster.js'
import { acquire, release, renew } from './commands.js'

/** Between two requests of one client. */
const PACE_MS = 4
/** A member that has not answered by then may never. */
const PATIENCE_MS = 5_000

/** The names of leases and of registers, as the judges know them; each wanted by several clients. */
const NAMES = [...[0, 1, 2].map((n) => `${PREFIX.lease}all/long-${n}`), ...[0, 1].map((n) => `${PREFIX.register}${n}`)]

export class ResizedClients {
  readonly recorder: Recorder
  readonly looks: ChaosLook[] = []
  /** Acknowledged changes of each member. */
  readonly served = new Map<Member, number>()
  /** The longest that all clients together have waited for the next acknowledgement. */
  gapMs = 0
  #lastMs: number
  #over = false
  readonly #cluster: Cluster
  readonly #done: Promise<unknown>

  constructor(cluster: Cluster, count = 6) {
    this.#cluster = cluster
    const now = () => cluster.clock.monotonicMs()
    this.recorder = new Recorder(now)
    this.#lastMs = now()
    this.#done = Promise.all(Array.from({ length: count }, (_, n) => this.#live(n + 1)))
    // Whoever stops them hears of it.
    this.#done.catch(() => {})
  }

  /** No new requests; resolves once all have ended. */
  async stop(): Promise<void> {
    this.#over = true
    await this.#cluster.until(this.#done, 2 * PATIENCE_MS)
  }

  async #live(number: number): Promise<void> {
    const random = seeded(this.#cluster.seed * 100 + number)
    for (let turn = 1; !this.#over; turn++) {
      await this.#pause(PACE_MS * (0.5 + random()))
      const name =
        random() < 0.3 ? `${PREFIX.lease}own-${number}/long-${turn}` : NAMES[Math.floor(random() * NAMES.length)]!
      const holder = `client-${number}/${turn}`
      const request = { scope: `s:${number.toString(16).padStart(4, '0')}`, key: turn, lowest: turn, knownMs: 0 }
      const wish = acquire(name, holder, { ttlMs: ttlMsOf(name), request })
      const grant = await this.#ask({ op: 'acquire', name, holder }, wish, random)
      if (grant?.kind !== 'granted') continue
      const { token } = grant
      if (random() < 0.5) await this.#look(name, random)
      let known = true
      // A register changes hands and no more.
      for (
        let renewals = name.startsWith(PREFIX.register) ? 0 : Math.floor(random() * 3);
        renewals > 0 && known;
        renewals--
      ) {
        await this.#pause(PACE_MS)
        const renewed = await this.#ask(
          { op: 'renew', name, holder, token },
          asHolder(renew(name, token), holder),
          random,
        )
        known = renewed?.kind === 'granted'
      }
      if (!known || random() < 0.1) continue
      await this.#ask({ op: 'release', name, holder, token }, asHolder(release(name, token), holder), random)
    }
  }

  /** Asks any member, and another one where nothing was done. Null: nobody will ever know what became of it. */
  async #ask(wish: Wish, command: Parameters<Member['ask']>[0], random: () => number): Promise<Outcome | null> {
    const one: Recorded = this.recorder.sending(wish)
    for (let attempt = 1; ; attempt++) {
      const member = this.#any(random)
      const reply = await this.#reply(member, member.ask(command, attempt).last)
      const outcome = reply === null || inDoubt(reply) ? null : this.recorder.answered(one, reply)
      if (outcome !== null) return this.#acknowledged(member, outcome)
      // Whoever does not know what became of it may ask again: it is the same request.
      if (reply === null && random() < 0.5) return null
      if (reply !== null && inDoubt(reply) && random() < 0.5) return null
      await this.#pause(2 * PACE_MS)
      this.recorder.again(one)
    }
  }

  #acknowledged(member: Member, outcome: Outcome): Outcome {
    if (outcome.kind === 'refused' || outcome.kind === 'lost') return outcome
    const nowMs = this.recorder.now()
    this.gapMs = Math.max(this.gapMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.served.set(member, (this.served.get(member) ?? 0) + 1)
    return outcome
  }

  /** Null: the member's process has ended, or says nothing any more. */
  async #reply(member: Member, last: Promise<Reply>): Promise<Reply | null> {
    const { clock } = member
    const untilMs = this.recorder.now() + PATIENCE_MS
    let reply: Reply | null = null
    void last.then((came) => (reply = came))
    for (;;) {
      await Promise.race([last, this.#pause(50)])
      if (reply !== null) return reply
      if (clock.dead || member.clock !== clock) return null
      if (this.recorder.now() > untilMs) throw new Error(`${member.id} has not answered for ${PATIENCE_MS} ms`)
    }
  }

  async #look(name: string, random: () => number): Promise<void> {
    const { replica } = this.#any(random)
    const sentMs = this.recorder.now()
    try {
      await Promise.race([
        replica.readBarrier(),
        this.#pause(PATIENCE_MS).then(() => Promise.reject(new ProtocolError('NO_QUORUM', 'late'))),
      ])
    } catch (error) {
      if (error instanceof ProtocolError) return
      throw error
    }
    const view = replica.getLease(name)
    const answeredMs = this.recorder.now()
    this.looks.push({ name, token: view?.[2] ?? null, holder: view?.[1] ?? null, sentMs, answeredMs })
  }

  #any(random: () => number): Member {
    const { living } = this.#cluster
    return living[Math.floor(random() * living.length)]!
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#cluster.clock.after(ms, resolve))
  }
}

const asHolder = <C extends object>(command: C, principal: string): C => ({ ...command, principal })
const inDoubt = ({ code }: Reply) => code === ERRORS.OUTCOME_UNKNOWN.wire

/** Asks whoever leads for a change, again and again until it is done: by the first one, or by another one after it. */
export async function change(cluster: Cluster, wanted: MembershipChange): Promise<void> {
  for (let asked = 0; asked < 200; asked++) {
    const { leader } = cluster
    let answer: { readonly code: string } | null = null
    const asking = leader.replica.changeMembers(wanted).then(
      () => (answer = { code: 'OK' }),
      (error: unknown) => {
        if (!(error instanceof ProtocolError)) throw error
        answer = { code: error.code }
      },
    )
    asking.catch(() => {})
    for (let ms = 0; answer === null && !leader.clock.dead && ms < 20_000; ms++) await cluster.run(1)
    const code = (answer as { readonly code: string } | null)?.code
    if (code === 'OK') return
    if (code === 'MEMBER_NOT_FOUND' && wanted.kind === 'remove') return
    await cluster.run(20)
    for (let ms = 0; ms < 5_000 && !cluster.living.some(({ replica }) => replica.status.role === 'leader'); ms += 20)
      await cluster.run(20)
  }
  throw new Error(`${JSON.stringify(wanted)} cannot be had`)
}
