import { readFileSync } from 'node:fs'
import { ERRORS } from '@leasehold/protocol'
import t from 'tap'
import { errorPage, PAGE } from './errorpage.js'

t.test('docs/errors.md is what the table of errors makes (npm run docs)', async (t) => {
  const page = readFileSync(PAGE, 'utf8')
  t.equal(page, errorPage())
  for (const [code, { status, help }] of Object.entries(ERRORS)) {
    const line = page.split('\n').find((line) => line.startsWith(`| \`${code}\` |`)) ?? ''
    t.ok(line.includes(`| ${status || 'client'} |`) && line.includes(help), code)
  }
})

t.test('the statuses are those of the HTTP contract', async (t) => {
  const contract: [number, (keyof typeof ERRORS)[]][] = [
    [400, ['INVALID_ARGUMENT']],
    [401, ['UNAUTHENTICATED']],
    [403, ['FORBIDDEN']],
    [404, ['ROUTE_NOT_FOUND', 'LEASE_NOT_FOUND', 'MEMBER_NOT_FOUND', 'QUOTA_NOT_FOUND']],
    [405, ['METHOD_NOT_ALLOWED']],
    [406, ['NOT_ACCEPTABLE']],
    [409, ['LEASE_HELD', 'NO_SUCH_WAITER', 'MEMBERSHIP_CONFLICT', 'QUOTA_CONFLICT']],
    [410, ['LEASE_LOST', 'STALE', 'CURSOR_COMPACTED']],
    [413, ['TOO_LARGE']],
    [415, ['UNSUPPORTED_MEDIA_TYPE']],
    [422, ['IDEMPOTENCY_MISMATCH']],
    [429, ['QUOTA_EXCEEDED']],
    [500, ['AUDIT_CORRUPT', 'INTERNAL']],
    [503, ['LIMIT_REACHED', 'OVERLOADED', 'NO_QUORUM', 'SHUTTING_DOWN', 'UPGRADE_PENDING']],
    [504, ['OUTCOME_UNKNOWN']],
    [0, ['ABORTED', 'UNREACHABLE', 'WRONG_CLUSTER', 'CLOSED']],
  ]
  for (const [status, codes] of contract) for (const code of codes) t.equal(ERRORS[code].status, status, code)
  t.same(contract.flatMap(([, codes]) => codes).sort(), Object.keys(ERRORS).sort(), 'none is left out')
})
