/** One question to whoever listens at an address: who is there, and of which cluster. */
import { parseAddress } from './address.js'
import { type Answer, type Ask, answerOf } from './asks.js'
import { dial } from './dial.js'
import type { Door } from './door.js'

/** Rejects where nobody answers in time, or not as a member would. The door need not be open. */
export function askPeer(
  { sockets, clock, limits }: Pick<Door, 'sockets' | 'clock' | 'limits'>,
  address: string,
  ask: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const greeting = { kind: 'ask', ask } as const
    dial({ address: parseAddress(address), greeting, sockets, clock, withinMs: limits.dialMsMax }, (outcome) => {
      if (outcome instanceof Error) {
        reject(outcome)
        return
      }
      outcome.socket.destroy()
      const { greeting: said } = outcome
      try {
        if (said.kind === 'answer') resolve(answerOf(said.answer))
        else reject(new Error(said.kind === 'refused' ? said.detail : `it sent a ${said.kind}`))
      } catch (error) {
        reject(error)
      }
    })
  })
}
