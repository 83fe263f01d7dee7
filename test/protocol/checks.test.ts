import {
  checkArray,
  checkBoolean,
  checkIdempotencyKey,
  checkLimit,
  checkLockDelayMs,
  checkMeta,
  checkNatural,
  checkPriority,
  checkToken,
  checkTtlMs,
  checkWaitMs,
  LIMITS,
  ProtocolError,
} from '@leasehold/protocol'
import t from 'tap'
import { NOT_WHOLE, refused } from './support.js'

const MAX = Number.MAX_SAFE_INTEGER
const numbers: [field: string, check: (value: unknown, field?: string) => number, min: number, max: number][] = [
  ['ttlMs', checkTtlMs, 100, 86_400_000],
  ['waitMs', checkWaitMs, 0, 3_600_000],
  ['lockDelayMs', checkLockDelayMs, 0, 3_600_000],
  ['priority', checkPriority, -1_000, 1_000],
  ['token', checkToken, 1, MAX],
  ['limit', checkLimit, 1, 1_000],
  ['seq', (value, field = 'seq') => checkNatural(value, field), 0, MAX],
]

for (const [field, check, min, max] of numbers) {
  t.test(`${field} is a whole number from ${min} to ${max}, both included`, async (t) => {
    const sentence = new RegExp(`^${field} must be a whole number from ${min} to ${max}, not `)
    for (const value of [min, min + 1, max - 1, max]) t.equal(check(value), value)
    for (const value of [...NOT_WHOLE, min - 1, max + 1, Number.MIN_VALUE]) {
      refused(t, () => check(value), 'INVALID_ARGUMENT', sentence)
    }
    refused(t, () => check('7', 'other'), 'INVALID_ARGUMENT', /^other must be .* not the string "7"$/)
  })
}

t.test('a refusal says what came instead', async (t) => {
  const said: [unknown, string][] = [
    [Number.NaN, 'NaN'],
    [Number('1e309'), 'Infinity'],
    [-0, '-0'],
    ['10s', 'the string "10s"'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'nothing'],
    [5n, 'a BigInt'],
    [[], 'an array'],
    [{}, 'an object'],
    [new Uint8Array(3), 'bytes'],
    [() => 1, 'a function'],
  ]
  for (const [value, words] of said) {
    t.throws(() => checkTtlMs(value), {
      message: `ttlMs must be a whole number from 100 to 86400000, not ${words}`,
      status: 400,
    })
  }
})

t.test('meta is null or up to 1 KiB of UTF-8', async (t) => {
  for (const meta of [null, '', 'x'.repeat(1_024), 'é'.repeat(512), '😀'.repeat(256)]) t.equal(checkMeta(meta), meta)
  for (const meta of ['x'.repeat(1_025), 'é'.repeat(513), '😀'.repeat(257), 'x'.repeat(10_000_000)]) {
    refused(t, () => checkMeta(meta), 'TOO_LARGE', /^meta must be at most 1024 bytes of UTF-8$/)
  }
  for (const meta of ['\ud800', 'a\udc00b', '\udc00\ud800']) {
    refused(t, () => checkMeta(meta), 'INVALID_ARGUMENT', /^meta must be Unicode text/)
  }
  for (const meta of [undefined, 1, {}, ['x'], true]) {
    refused(t, () => checkMeta(meta), 'INVALID_ARGUMENT', /^meta must be a string, not/)
  }
})

t.test('an idempotency key is 1 to 255 bytes of visible ASCII', async (t) => {
  for (const key of ['!', '~', 'k'.repeat(255), '8e03978e-40d5-43dd-bc93-6894a57f9324', '"quoted"']) {
    t.equal(checkIdempotencyKey(key), key)
  }
  for (const key of ['', 'k'.repeat(256), 'a b', 'a\n', '\t', 'é', '\u007f', '\u0000']) {
    refused(t, () => checkIdempotencyKey(key), 'INVALID_ARGUMENT', /^Idempotency-Key must be 1 to 255 bytes of visible/)
  }
  refused(t, () => checkIdempotencyKey(['k']), 'INVALID_ARGUMENT', /^Idempotency-Key must be a string, not an array$/)
})

t.test('only true and false are booleans, only arrays are arrays', async (t) => {
  t.equal(checkBoolean(false, 'vacant'), false)
  for (const value of [0, 1, 'true', null]) {
    refused(t, () => checkBoolean(value, 'vacant'), 'INVALID_ARGUMENT', /^vacant must be true or false, not/)
  }
  t.same(checkArray([1], 'fields'), [1])
  for (const value of [{ length: 0 }, 'x', null, new Uint8Array(1)]) {
    refused(t, () => checkArray(value, 'fields'), 'INVALID_ARGUMENT', /^fields must be an array, not/)
  }
})

t.test('a refusal carries its code and the status of the one table', async (t) => {
  const error = new ProtocolError('TOO_LARGE', 'meta is too large')
  t.equal(error.name, 'ProtocolError')
  t.equal(error.status, 413)
  t.ok(error instanceof Error)
  t.equal(LIMITS.metaBytesMax, 1_024)
})
