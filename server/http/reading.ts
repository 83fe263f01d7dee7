/** Reads of the state over HTTP: let in by the front door like everything else, then served from behind the read barrier. */
import { type Op, ProtocolError } from '@leasehold/protocol'
import type { FastifyRequest } from 'fastify'
import type { Context } from './context.js'

/** Throws ProtocolError OVERLOADED, SHUTTING_DOWN, NO_QUORUM, and what `read` throws. */
export async function readState<T>(
  context: Context,
  request: FastifyRequest,
  read: () => T | Promise<T>,
  options: { barrier: boolean } = { barrier: true },
): Promise<T> {
  const { intake, replica, clock } = context
  const { unit } = request
  unit.readMs = clock.monotonicMs()
  const refusal = intake.judge(unit.op as Op, 0, context.limits.deadlineMs)
  if (refusal !== null) throw new ProtocolError(refusal, 'nothing was read; come back')
  intake.inFlight++
  try {
    if (options.barrier) await replica.readBarrier()
    return await read()
  } finally {
    intake.inFlight--
    unit.answeredMs = clock.monotonicMs()
  }
}
