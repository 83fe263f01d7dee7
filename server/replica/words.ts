/** What people are told by a member of what became of their commands. */
import { ERRORS, type ErrorCode } from '@leasehold/protocol'

/** What a queued request is told when this member goes: it was executed, insofar as it stands in a queue. */
export const QUEUE_KEPT =
  'this member shuts down while the request waits; its place is kept for a while: repeat it with the same request token'

export const MISSED =
  'this member was away while the request waited; its place is kept: repeat it with the same request token'

export const textOf = (code: ErrorCode) => `${ERRORS[code].title}. ${ERRORS[code].help}`
