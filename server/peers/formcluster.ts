/**
 * Drives the forming of a cluster over short connections: asks everybody round after round, and writes the directory once it is settled
 * what stands in it. Must never answer "formed" for what is not durable yet.
 */
import type { PeerName } from '../ports/index.js'
import { parseAddress } from './address.js'
import { answerFields, answerOf, askOf, type Facts } from './asks.js'
import { dial } from './dial.js'
import type { AnswerAsk, Door } from './door.js'
import { type Decision, Forming, type Poll } from './forming.js'
import type { Greeting, Versions } from './greeting.js'

export interface FormClusterOptions {
  /** Opened here where it is not open yet; it stays open, and tells those that ask later what was formed. */
  readonly door: Door
  readonly self: PeerName
  /** Address of each listed member by its id, this one included. */
  readonly members: ReadonlyMap<string, string>
  /** Of the founder alone: a new cluster id and the first entry, for a configuration of these peers. */
  readonly found: (peers: readonly PeerName[]) => { readonly clusterId: string; readonly founding: Uint8Array }
  /** Makes the directory durable with these facts. */
  readonly write: (facts: Facts) => Promise<void>
  /** Told after each round that settled nothing: what is waited for, for people. */
  readonly waiting?: (what: string) => void
  readonly signal?: AbortSignal
  readonly versions?: Versions
}

/** Milliseconds for the members of a new cluster to start one after the other before anything is said about it. */
const QUIET_MS = 2_000

/**
 * Resolves with what stands in the directory once it is durable. Waits for as long as it takes: for members that do not answer, or, as a
 * stranger to the cluster that there is, for somebody to add this member. Rejects with the signal's reason, or where `write` fails.
 */
export async function formCluster(options: FormClusterOptions): Promise<Facts> {
  const { door, self, members, found, write, signal, versions } = options
  signal?.throwIfAborted()
  const forming = new Forming({ self, members: [...members.keys()], ...(versions === undefined ? {} : { versions }) })
  door.answerAsk = (ask) => answerFields(forming.asked(askOf(ask)))
  await door.open()
  door.keepAlive(true)
  const decision = await decide(options, forming).finally(() => door.keepAlive(false))
  const facts = decision.kind === 'join' ? decision.facts : { ...found(decision.peers), names: decision.peers }
  await write(facts)
  forming.formed(facts)
  door.telemetry.log('info', 'directory formed', {
    clusterId: facts.clusterId,
    peer: self,
    founder: decision.kind === 'found',
  })
  return facts
}

async function decide(options: FormClusterOptions, forming: Forming): Promise<Decision> {
  const { door, self, members, waiting, signal } = options
  const { clock, limits } = door
  const startMs = clock.monotonicMs()
  while (true) {
    await round(options, forming)
    signal?.throwIfAborted()
    if (forming.decision !== null) return forming.decision
    waiting?.(waitsFor(forming, members))
    if (forming.stranger || clock.monotonicMs() - startMs > QUIET_MS) {
      const reason = forming.waitingFor
      door.complaints.say('waiting to form', reason, { peer: self, reason })
    }
    await pause(door, forming.stranger ? limits.strangerRoundMs : limits.formingRoundMs, signal)
  }
}

function waitsFor({ missing, waitingFor }: Forming, members: ReadonlyMap<string, string>): string {
  if (missing.length === 0) return 'all members are there'
  const places = missing.map((member) => `${member} at ${members.get(member)}`)
  return `waiting for ${places.join(' and ')}: ${waitingFor}`
}

/** What a member that is formed tells those who ask. `facts` is asked each time: configurations change. */
export function answerAsFormed(peer: PeerName, facts: () => Facts): AnswerAsk {
  return (ask) => {
    askOf(ask)
    return answerFields({ kind: 'formed', peer, facts: facts() })
  }
}

/** Asks everybody once. Resolves when all have answered or failed, something is decided, or the signal says so. */
function round({ door, members, signal }: FormClusterOptions, forming: Forming): Promise<void> {
  return new Promise((resolve) => {
    const open = new Map<Poll, () => void>()
    const finish = (): void => {
      for (const stop of open.values()) stop()
      open.clear()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    signal?.addEventListener('abort', finish)
    for (const poll of forming.round()) {
      const stop = dial(
        {
          address: parseAddress(members.get(poll.to)!),
          greeting: { kind: 'ask', ask: poll.ask },
          sockets: door.sockets,
          clock: door.clock,
          withinMs: door.limits.dialMsMax,
        },
        (outcome) => {
          open.delete(poll)
          if (outcome instanceof Error) forming.unanswered(poll, outcome.message)
          else {
            outcome.socket.destroy()
            take(forming, poll, outcome.greeting)
          }
          if (open.size === 0 || forming.decision !== null) finish()
        },
      )
      open.set(poll, stop)
    }
    if (open.size === 0) finish()
  })
}

function take(forming: Forming, poll: Poll, greeting: Greeting): void {
  try {
    if (greeting.kind === 'answer') forming.answered(poll, answerOf(greeting.answer))
    else forming.unanswered(poll, greeting.kind === 'refused' ? greeting.detail : `it sent a ${greeting.kind}`)
  } catch (error) {
    forming.unanswered(poll, (error as Error).message)
  }
}

/** Lets `ms` pass. Rejects with the signal's reason. */
function pause({ clock }: Door, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      disarm()
      reject(signal!.reason)
    }
    const disarm = clock.after(ms, () => {
      signal?.removeEventListener('abort', aborted)
      resolve()
    })
    signal?.addEventListener('abort', aborted, { once: true })
  })
}
