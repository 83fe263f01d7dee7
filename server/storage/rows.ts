/**
 * Every row carries the CRC-32C of its key and value in front of its value, and is never used before it was checked.
 * The live prefix is left out of the checksum: the same row has the same checksum in every directory.
 */
import { getU32, putU32 } from './bytes.js'
import { crc32c } from './crc32c.js'
import { Damage } from './refusal.js'

/** Bytes in front of a row's payload. */
export const ROW_HEAD_BYTES = 4

export function rowChecksum(key: Uint8Array, value: Uint8Array): number {
  return crc32c(value, ROW_HEAD_BYTES, value.length, crc32c(key, 1))
}

/** Writes the checksum into the head that the value keeps free. Returns it, signed. */
export function sealRow(key: Uint8Array, value: Uint8Array): number {
  const checksum = rowChecksum(key, value)
  putU32(value, 0, checksum)
  return checksum
}

/** A whole row's value around a payload. For rows off the hot path. */
export function wrapRow(key: Uint8Array, payload: Uint8Array): Uint8Array {
  const value = Buffer.allocUnsafeSlow(ROW_HEAD_BYTES + payload.length)
  value.set(payload, ROW_HEAD_BYTES)
  sealRow(key, value)
  return value
}

/** The checked row's checksum, signed. Throws Damage. */
export function verifyRow(key: Uint8Array, value: Uint8Array, what: string): number {
  const checksum = rowChecksum(key, value)
  if (value.length < ROW_HEAD_BYTES || getU32(value, 0) !== checksum >>> 0)
    throw new Damage(`${what} fails its checksum.`)
  return checksum
}

/** The same of a row whose key is `bytes[from, valueFrom)`, and its value `bytes[valueFrom, to)`. */
export function verifyPacked(bytes: Uint8Array, from: number, valueFrom: number, to: number, what: string): number {
  const checksum = crc32c(bytes, valueFrom + ROW_HEAD_BYTES, to, crc32c(bytes, from + 1, valueFrom))
  if (to - valueFrom < ROW_HEAD_BYTES || getU32(bytes, valueFrom) !== checksum >>> 0)
    throw new Damage(`${what} fails its checksum.`)
  return checksum
}

/** The checked row's payload. Throws Damage. */
export function readRow(key: Uint8Array, value: Uint8Array, what: string): Uint8Array {
  verifyRow(key, value, what)
  return value.subarray(ROW_HEAD_BYTES)
}
