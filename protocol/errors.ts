/**
 * The one table of errors: code, number on the wire, HTTP status, whether a retry can help, and what to tell a person.
 * Documentation and types are held to it by a test. Numbers are never reused.
 */

interface ErrorRow {
  /** The `code` of a reply on the session's wire. */
  readonly wire: number
  /** HTTP status; 0 for codes that only exist inside the client. */
  readonly status: number
  /** Whether the same request may succeed later without change. */
  readonly retryable: boolean
  readonly title: string
  readonly help: string
}

const row = (wire: number, status: number, retryable: boolean, title: string, help: string): ErrorRow => ({
  wire,
  status,
  retryable,
  title,
  help,
})

export const ERRORS = {
  INVALID_ARGUMENT: row(10, 400, false, 'Invalid argument', 'Correct the field that the detail names.'),
  UNAUTHENTICATED: row(11, 401, false, 'Not authenticated', 'Send a valid credential.'),
  FORBIDDEN: row(12, 403, false, 'Not allowed', 'Ask for a role that may do this.'),
  ROUTE_NOT_FOUND: row(13, 404, false, 'No such route', 'See /openapi.json for the routes.'),
  LEASE_NOT_FOUND: row(14, 404, false, 'No such lease', 'Nobody holds this name now; its history may tell more.'),
  METHOD_NOT_ALLOWED: row(15, 405, false, 'Method not allowed', 'The Allow header lists the methods of this route.'),
  NOT_ACCEPTABLE: row(16, 406, false, 'Not acceptable', 'Accept application/json or application/msgpack.'),
  LEASE_HELD: row(17, 409, true, 'Held by somebody else', 'Wait (waitMs), or try again once remainingMs has passed.'),
  NO_SUCH_WAITER: row(
    18,
    409,
    true,
    'Nobody of that name waits',
    'The lease is kept; transfer once the successor waits.',
  ),
  LEASE_LOST: row(19, 410, false, 'The grant has ended', 'The reason says how. Acquire again for a new grant.'),
  STALE: row(
    20,
    410,
    false,
    'Too old to be judged',
    'This request token is past its retention; it was not executed now. Look at the state, then use a new token.',
  ),
  CURSOR_COMPACTED: row(
    21,
    410,
    false,
    'The cursor is gone',
    'Events after this cursor were trimmed, or it is of another cluster. Start over without a cursor.',
  ),
  TOO_LARGE: row(22, 413, false, 'Too large', 'Keep within the limit that the detail names.'),
  UNSUPPORTED_MEDIA_TYPE: row(
    23,
    415,
    false,
    'Unsupported media type',
    'Send application/json or application/msgpack.',
  ),
  IDEMPOTENCY_MISMATCH: row(
    24,
    422,
    false,
    'Same token, other parameters',
    'A request token names one request. Make a new one for a new request.',
  ),
  LIMIT_REACHED: row(25, 503, true, 'A limit is reached', 'The detail names the limit. Nothing was executed.'),
  OVERLOADED: row(26, 503, true, 'Overloaded', 'Nothing was executed. Come back after retryAfterMs.'),
  NO_QUORUM: row(27, 503, true, 'No quorum', 'Most members are away. Nothing was executed.'),
  SHUTTING_DOWN: row(28, 503, true, 'Shutting down', 'Nothing was executed. Use another member, or come back.'),
  OUTCOME_UNKNOWN: row(
    29,
    504,
    true,
    'Outcome unknown',
    'The request may or may not have been executed. Repeat it with the same request token.',
  ),
  AUDIT_CORRUPT: row(
    30,
    500,
    false,
    'The audit is damaged here',
    'Rows of this part of the history fail their checks on this member. See leasehold history --verify.',
  ),
  INTERNAL: row(
    31,
    500,
    false,
    'Internal error',
    'This is a defect. The log of the server has the details under the request id.',
  ),
  MEMBER_NOT_FOUND: row(32, 404, false, 'No such member', 'See GET /v1/cluster for the members.'),
  MEMBERSHIP_CONFLICT: row(
    33,
    409,
    true,
    'The change of members does not fit',
    'The detail says what stands against it. Nothing was changed.',
  ),
  QUOTA_NOT_FOUND: row(34, 404, false, 'No such quota', 'See GET /v1/quotas for the names.'),
  QUOTA_EXCEEDED: row(35, 429, true, 'The quota is used up', 'Nothing was taken. Come back after retryAfterMs.'),
  QUOTA_CONFLICT: row(
    36,
    409,
    true,
    'The change of a quota does not fit',
    'The detail says what stands against it. Nothing was changed.',
  ),
  UPGRADE_PENDING: row(
    37,
    503,
    true,
    'Not before every member knows it',
    'Some member runs a version that does not know this. Finish the upgrade. Nothing was executed.',
  ),
  ABORTED: row(0, 0, false, 'Aborted by the caller', 'The signal that was passed in has fired.'),
  UNREACHABLE: row(
    0,
    0,
    true,
    'No member could be reached in time',
    'See executed for whether the request may have had an effect.',
  ),
  WRONG_CLUSTER: row(
    0,
    0,
    false,
    'Another cluster answers',
    'No endpoint belongs to the cluster that this client began with. Correct the endpoints, or create a new client.',
  ),
  CLOSED: row(0, 0, false, 'The client is closed', 'Create a new client.'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** Codes of replies that are not errors, on the session's wire. */
export const OK = 0
/** An acquire that waited, or a transfer's taker, has an offer: claim it by a renew within the window. */
export const OFFERED = 1
/** An acquire has joined the queue; its answer follows under the same id. */
export const QUEUED = 2

const byWire = new Map<number, ErrorCode>()
for (const code of Object.keys(ERRORS) as ErrorCode[]) if (ERRORS[code].wire > 0) byWire.set(ERRORS[code].wire, code)

/** The error's code for its number on the wire; INTERNAL for a number that this version does not know. */
export function errorOfWire(wire: number): ErrorCode {
  return byWire.get(wire) ?? 'INTERNAL'
}

/** Why a grant is no longer its holder's. `suspended` and `unreachable` are judged by the client alone. */
export type LossReason =
  | 'expired'
  | 'released'
  | 'revoked'
  | 'transferred'
  | 'superseded'
  | 'unknown'
  | 'suspended'
  | 'unreachable'
