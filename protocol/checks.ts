/**
 * Checks of single fields, shared by the wire, HTTP, the command line and the library, so that one value is judged the
 * same wherever it comes in. Each returns the value or throws ProtocolError with a sentence that names the field.
 * No check converts: '5', true and 5n are not numbers.
 */
import { ProtocolError } from './fault.js'
import { LIMITS } from './limits.js'
import { describe, isWellFormed, utf8Bytes } from './text.js'

/** A whole number within its bounds; INVALID_ARGUMENT for all else, -0 included. */
export function checkInteger(value: unknown, field: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    if (value !== 0 || !Object.is(value, -0)) return value
  }
  throw new ProtocolError(
    'INVALID_ARGUMENT',
    `${field} must be a whole number from ${min} to ${max}, not ${describe(value)}`,
  )
}

/** A whole number from 0 to 2^53 - 1. */
export function checkNatural(value: unknown, field: string): number {
  return checkInteger(value, field, 0, Number.MAX_SAFE_INTEGER)
}

/** Text of any size, for what was bounded before it was written: a later limit must not refuse what is already there. */
export function checkText(value: unknown, field: string): string {
  if (typeof value === 'string') return value
  throw new ProtocolError('INVALID_ARGUMENT', `${field} must be a string, not ${describe(value)}`)
}

/** Text of at most `bytesMax` bytes of UTF-8; INVALID_ARGUMENT for what is no text, TOO_LARGE for more. */
export function checkString(value: unknown, field: string, bytesMax: number): string {
  const text = checkText(value, field)
  // Never fewer bytes than units: what is far too long is refused without counting it.
  if (text.length > bytesMax || utf8Bytes(text) > bytesMax) {
    throw new ProtocolError('TOO_LARGE', `${field} must be at most ${bytesMax} bytes of UTF-8`)
  }
  if (!isWellFormed(text)) {
    throw new ProtocolError('INVALID_ARGUMENT', `${field} must be Unicode text: half of a surrogate pair stands alone`)
  }
  return text
}

/** Milliseconds. */
export function checkTtlMs(value: unknown, field = 'ttlMs'): number {
  return checkInteger(value, field, LIMITS.ttlMsMin, LIMITS.ttlMsMax)
}
/** Milliseconds; 0 answers at once. */
export function checkWaitMs(value: unknown, field = 'waitMs'): number {
  return checkInteger(value, field, 0, LIMITS.waitMsMax)
}
/** Milliseconds. */
export function checkLockDelayMs(value: unknown, field = 'lockDelayMs'): number {
  return checkInteger(value, field, 0, LIMITS.lockDelayMsMax)
}
export function checkPriority(value: unknown, field = 'priority'): number {
  return checkInteger(value, field, LIMITS.priorityMin, LIMITS.priorityMax)
}
/** A fencing token: 1 to 2^53 - 1. */
export function checkToken(value: unknown, field = 'token'): number {
  return checkInteger(value, field, 1, LIMITS.tokenMax)
}
/** Null, or up to 1 KiB of UTF-8; TOO_LARGE over it. */
export function checkMeta(value: unknown, field = 'meta'): string | null {
  return value === null ? null : checkString(value, field, LIMITS.metaBytesMax)
}
/** Rows of a page. */
export function checkLimit(value: unknown, field = 'limit'): number {
  return checkInteger(value, field, 1, LIMITS.pageMax)
}

/** 1 to 255 bytes of visible ASCII. */
export function checkIdempotencyKey(value: unknown, field = 'Idempotency-Key'): string {
  return checkVisible(value, field, LIMITS.idempotencyKeyBytesMax)
}

/** Visible ASCII, at least one byte. */
export function checkVisible(value: unknown, field: string, bytesMax: number): string {
  const text = checkText(value, field)
  if (text.length <= bytesMax && /^[!-~]+$/.test(text)) return text
  throw new ProtocolError(
    'INVALID_ARGUMENT',
    `${field} must be 1 to ${bytesMax} bytes of visible ASCII, not ${describe(value)}`,
  )
}

/** The array has exactly so many elements: an unknown one is refused, never ignored. */
export function checkCount(fields: readonly unknown[], count: number, what: string): void {
  if (fields.length !== count) {
    throw new ProtocolError('INVALID_ARGUMENT', `${what} takes ${count} fields, not ${fields.length}`)
  }
}

export function checkArray(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw new ProtocolError('INVALID_ARGUMENT', `${field} must be an array, not ${describe(value)}`)
  }
  return value
}

export function checkBoolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') {
    throw new ProtocolError('INVALID_ARGUMENT', `${field} must be true or false, not ${describe(value)}`)
  }
  return value
}
