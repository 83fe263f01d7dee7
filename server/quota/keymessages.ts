/**
 * What members say to each other about keys (`Replica.tell`): flat arrays, a kind first. Any of them may be lost. Later fields are passed over.
 *
 *   ask     [1, seq, count, then quota, key, least, wanted, back, taken of each]     to whoever leads
 *   share   [2, seq, count, then granted, retryAfterMs, remaining of each]           its answer, in the order of the ask
 *   listed  [3, round, part, parts, hashes]      of whoever leads: the keys that have buckets (KeyHash.whole, 8 bytes each, big-endian)
 *   talk    [4, errorPerS, totals, then quota, ratePerS of each, rows, then index of the quota's total, key, ratePerS of each]
 */
import { checkInteger, checkNatural, checkQuotaKey, checkText, ProtocolError, pack, unpack } from '@leasehold/protocol'
import { QUOTA_LIMITS as L } from './limits.js'
import type { KeyAsk, KeyShare } from './softbuckets.js'
import type { Summary } from './talkers.js'

export const KEYS = { ask: 1, share: 2, listed: 3, talk: 4 } as const

export interface NamedAsk extends KeyAsk {
  readonly quota: string
  readonly key: string
}

export interface KeyAskMessage {
  readonly kind: typeof KEYS.ask
  readonly seq: number
  readonly asks: readonly NamedAsk[]
}

export interface KeyShareMessage {
  readonly kind: typeof KEYS.share
  readonly seq: number
  readonly shares: readonly KeyShare[]
}

export interface ListedMessage {
  readonly kind: typeof KEYS.listed
  readonly round: number
  readonly part: number
  readonly parts: number
  readonly hashes: readonly number[]
}

export interface TalkMessage {
  readonly kind: typeof KEYS.talk
  readonly summary: Summary
}

export type KeyMessage = KeyAskMessage | KeyShareMessage | ListedMessage | TalkMessage

const BOUNDS = { depthMax: 1, itemsMax: 65_536 } as const
const HASH_BYTES = 8

export function encodeKeys(message: KeyMessage): Uint8Array {
  return pack(fieldsOf(message))
}

/** Throws ProtocolError. */
export function decodeKeys(bytes: Uint8Array): KeyMessage {
  const f = unpack(bytes, 0, bytes.length, BOUNDS)
  switch (f[0]) {
    case KEYS.ask: {
      const asks = rowsOf(f, 2, 6, L.keyAsksMax, (at) => ({
        quota: checkText(f[at], 'quota'),
        key: checkQuotaKey(f[at + 1]),
        least: checkNatural(f[at + 2], 'least'),
        wanted: checkNatural(f[at + 3], 'wanted'),
        back: checkNatural(f[at + 4], 'back'),
        taken: checkNatural(f[at + 5], 'taken'),
      }))
      return { kind: KEYS.ask, seq: checkNatural(f[1], 'seq'), asks }
    }
    case KEYS.share: {
      const shares = rowsOf(f, 2, 3, L.keyAsksMax, (at) => ({
        granted: checkNatural(f[at], 'granted'),
        retryAfterMs: checkNatural(f[at + 1], 'retryAfterMs'),
        remaining: checkNatural(f[at + 2], 'remaining'),
      }))
      return { kind: KEYS.share, seq: checkNatural(f[1], 'seq'), shares }
    }
    case KEYS.listed: {
      const parts = checkInteger(f[3], 'parts', 1, L.keyPartsMax)
      const part = checkInteger(f[2], 'part', 0, parts - 1)
      return { kind: KEYS.listed, round: checkNatural(f[1], 'round'), part, parts, hashes: hashesOf(f[4]) }
    }
    case KEYS.talk:
      return { kind: KEYS.talk, summary: summaryOf(f) }
    default:
      throw refuse('a message about keys has a kind that this version does not know')
  }
}

function fieldsOf(m: KeyMessage): readonly unknown[] {
  const f: unknown[] = [m.kind]
  switch (m.kind) {
    case KEYS.ask:
      f.push(m.seq, m.asks.length)
      for (const { quota, key, least, wanted, back, taken } of m.asks) f.push(quota, key, least, wanted, back, taken)
      return f
    case KEYS.share:
      f.push(m.seq, m.shares.length)
      for (const { granted, retryAfterMs, remaining } of m.shares) f.push(granted, retryAfterMs, remaining)
      return f
    case KEYS.listed:
      f.push(m.round, m.part, m.parts, bytesOf(m.hashes))
      return f
    case KEYS.talk: {
      const { errorPerS, rows, totals } = m.summary
      const index = new Map(totals.map(([quota], at) => [quota, at]))
      f.push(errorPerS, totals.length)
      for (const [quota, ratePerS] of totals) f.push(quota, ratePerS)
      f.push(rows.length)
      for (const [quota, key, ratePerS] of rows) f.push(index.get(quota)!, key, ratePerS)
      return f
    }
  }
}

function summaryOf(f: readonly unknown[]): Summary {
  const totals = rowsOf(f, 2, 2, L.talkersToldMax, (at) => [checkText(f[at], 'quota'), rateAt(f, at + 1)] as const)
  const rows = rowsOf(f, 3 + 2 * totals.length, 3, L.talkersToldMax, (at) => {
    const [quota] = totals[checkInteger(f[at], 'index', 0, totals.length - 1)]!
    return [quota, checkQuotaKey(f[at + 1]), rateAt(f, at + 2)] as const
  })
  return { errorPerS: rateAt(f, 1), rows, totals }
}

/** A count at `from`, and so many rows of `width` behind it. */
function rowsOf<T>(f: readonly unknown[], from: number, width: number, most: number, row: (at: number) => T): T[] {
  const count = checkInteger(f[from], 'count', 0, most)
  if (from + 1 + count * width > f.length) throw refuse('a message about keys ends too early')
  return Array.from({ length: count }, (_, index) => row(from + 1 + index * width))
}

function rateAt(f: readonly unknown[], at: number): number {
  const rate = f[at]
  if (typeof rate === 'number' && rate >= 0 && rate < Number.POSITIVE_INFINITY) return rate
  throw refuse('a rate is no number from 0 on')
}

function bytesOf(hashes: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(hashes.length * HASH_BYTES))
  for (const [at, hash] of hashes.entries()) view.setFloat64(at * HASH_BYTES, hash)
  return new Uint8Array(view.buffer)
}

function hashesOf(bytes: unknown): readonly number[] {
  if (!(bytes instanceof Uint8Array) || bytes.length % HASH_BYTES !== 0)
    throw refuse('hashes are no whole numbers of 8 bytes')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) => view.getFloat64(at * HASH_BYTES))
}

const refuse = (detail: string) => new ProtocolError('INVALID_ARGUMENT', detail)
