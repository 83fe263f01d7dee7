/**
 * Errors as people and programs get them over HTTP: problem documents (RFC 9457) from the one error table. Must never
 * tell of the inside: a defect is told by its request id, and its details go to the log.
 */
import { ERRORS, type ErrorCode, ProtocolError } from '@leasehold/protocol'
import type { FastifyError } from 'fastify'

export interface Problem {
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly retryable: boolean
  /** False where it is certain that nothing was executed; absent where that is not known. */
  readonly executed?: false
  readonly retryAfterMs?: number
  readonly requestId?: string
  readonly [extra: string]: unknown
}

/** A problem document. A retryAfterMs of 0 stands for no hint. */
export function problem(
  code: ErrorCode,
  detail: string,
  extra: Readonly<Record<string, unknown>> = {},
  retryAfterMs = 0,
): Problem {
  const row = ERRORS[code]
  return {
    title: row.title,
    status: row.status,
    detail: detail === '' ? row.help : detail,
    code,
    retryable: row.retryable,
    ...(row.status === 503 && { executed: false }),
    ...(retryAfterMs > 0 && { retryAfterMs }),
    ...extra,
  }
}

const FASTIFY: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_EMPTY_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
}

/** The problem that an error thrown on the way through fastify stands for; null for a defect. */
export function problemOf(error: FastifyError | Error): { code: ErrorCode; detail: string } | null {
  if (error instanceof ProtocolError) return { code: error.code, detail: error.message }
  const { code, statusCode } = error as Partial<FastifyError>
  const known = code === undefined ? undefined : FASTIFY[code]
  if (known !== undefined) return { code: known, detail: known === 'TOO_LARGE' ? error.message : ERRORS[known].help }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return { code: 'INVALID_ARGUMENT', detail: error.message }
  return null
}
