/** Limits of the HTTP front. The body's limit is the protocol's. */
import { LIMITS } from '@leasehold/protocol'

export const HTTP_LIMITS = {
  connectionsMax: 25_000,
  headerBytesMax: 16_384,
  urlBytesMax: 4_096,
  acceptBytesMax: 1_024,
  requestIdBytesMax: 128,
  bodyBytesMax: LIMITS.httpBodyBytesMax,
  bodyDepthMax: 4,

  // slow and idle peers
  headersMs: 10_000,
  requestMs: 20_000,
  keepAliveMs: 65_000,
  checkConnectionsMs: 1_000,
  pingMs: 15_000,

  // what a change may take before its outcome is called unknown; time spent waiting for a lease is not counted
  deadlineMs: 10_000,
  answerMs: 30_000,

  // server-sent events
  heartbeatMs: 15_000,
  streamBufferBytes: 1_048_576,

  // closing: for what was let in to be answered, then for connections to end by themselves
  drainMs: 2_000,
  graceMs: 500,
} as const

export type HttpLimits = { readonly [K in keyof typeof HTTP_LIMITS]: number }

export function assertHttpLimits(l: HttpLimits): void {
  const relations: [boolean, string][] = [
    [l.urlBytesMax < l.headerBytesMax, 'a URL fits the header'],
    [l.urlBytesMax > 3 * LIMITS.nameBytesMax + 2 * LIMITS.cursorBytesMax + 64, 'the longest name fits a URL, encoded'],
    [l.headersMs <= l.requestMs, 'the header is part of the request'],
    [l.deadlineMs < l.answerMs, 'a refusal comes before the outcome is called unknown'],
    [l.drainMs + 2 * l.graceMs <= 4_000, 'closing leaves time to flush within five seconds'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`http limits disagree: ${claim}`)
}

assertHttpLimits(HTTP_LIMITS)
