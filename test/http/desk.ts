/** A desk that decides what a test says, at once on the next turn or when the test lets it go. */
import { OK, type Reply, type TakeRequest } from '@leasehold/protocol'
import type { IntakeOptions } from '@leasehold/server/intake'
import type { Recipient } from '@leasehold/server/replica'

type Desk = NonNullable<IntakeOptions['quotas']>

export interface Asked {
  readonly request: TakeRequest
  readonly to: Recipient
  readonly id: number
  readonly attempt: number
  readonly deadlineMs: number
}

export class FakeDesk implements Desk {
  readonly asked: Asked[] = []
  readonly detached: Recipient[] = []
  /** Null leaves a take unanswered. */
  decide: (request: TakeRequest) => Reply | null = ({ items }) => {
    const taken = items.reduce((sum, { cost }) => sum + cost, 0)
    return { code: OK, fields: [taken, 200 - taken, 200, taken * 10, 'exact'] }
  }
  top: Desk['top'] = () => ({ keys: [], totalPerS: 0 })

  take(request: TakeRequest, to: Recipient, id: number, attempt: number, deadlineMs: number): void {
    this.asked.push({ request, to, id, attempt, deadlineMs })
    const reply = this.decide(request)
    if (reply === null) return
    setImmediate(() => {
      to.reply(id, attempt, reply.code, reply.fields)
      to.flush()
    })
  }
  draw(): void {
    throw new Error('nobody draws over HTTP')
  }
  detach(to: Recipient): void {
    this.detached.push(to)
  }
  async close(): Promise<void> {}
}
