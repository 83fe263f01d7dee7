/** The last guard: a resource refuses every token lower than the highest it has seen. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LeaseLostError } from '@leasehold/client'
import {
  createFence,
  FencedError,
  fenceHook,
  levelFenceStore,
  memoryFenceStore,
  type SqlStatement,
  sqlFence,
} from '@leasehold/client/fence'
import fc from 'fast-check'
import fastify, { type FastifyRequest } from 'fastify'
import { Level } from 'level'
import t from 'tap'

t.test('no token passes after a higher one, whatever the order', async () => {
  const asks = fc.array(fc.record({ resource: fc.constantFrom('a', 'b'), token: fc.integer({ min: 1, max: 30 }) }))
  await fc.assert(
    fc.asyncProperty(asks, async (all) => {
      const fence = createFence(memoryFenceStore())
      const highest = new Map<string, number>()
      for (const { resource, token } of all) {
        const passed = await fence.check(resource, token).then(
          () => true,
          (error) => {
            if (!(error instanceof FencedError) || error.highest !== highest.get(resource)) throw error
            return false
          },
        )
        if (passed !== token >= (highest.get(resource) ?? 0))
          throw new Error(`token ${token} of ${resource}: ${passed}`)
        highest.set(resource, Math.max(token, highest.get(resource) ?? 0))
      }
    }),
  )
})

t.test('what is no token is refused, and the error is that of a lost lease', async (t) => {
  const fence = createFence(memoryFenceStore())
  for (const token of [0, -1, 1.5, 2 ** 53, Number.NaN, '7' as unknown as number])
    await t.rejects(fence.check('r', token), { code: 'INVALID_ARGUMENT' }, String(token))
  await fence.check('r', 9)
  const error = await fence.check('r', 8).catch((reason) => reason)
  t.ok(error instanceof LeaseLostError)
  t.match(error, { code: 'LEASE_LOST', reason: 'superseded', token: 8, highest: 9, resource: 'r' })
})

t.test('a fastify hook answers 410 to a superseded token, 400 to none, before the handler runs', async (t) => {
  const app = fastify()
  let handled = 0
  app.addHook(
    'preHandler',
    fenceHook(createFence(memoryFenceStore()), { resource: (request: FastifyRequest) => request.url }),
  )
  app.put('/disk/:id', async () => ({ handled: ++handled }))
  const put = (token?: string) =>
    app.inject({ method: 'PUT', url: '/disk/1', headers: token === undefined ? {} : { 'Fencing-Token': token } })
  t.equal((await put('34')).statusCode, 200)
  t.equal((await put('34')).statusCode, 200, 'the same token again is the same holder')
  t.equal((await put('35')).statusCode, 200)
  const late = await put('34')
  t.equal(late.statusCode, 410)
  t.match(late.headers['content-type'], /application\/problem\+json/)
  t.match(late.json(), { code: 'LEASE_LOST', reason: 'superseded', highest: 35, status: 410, retryable: false })
  for (const bad of [undefined, '', '0', '-1', '1.5', 'abc', '99999999999999999', '0x10']) {
    const refused = await put(bad)
    t.equal(refused.statusCode, 400, `${bad}`)
    t.equal(refused.json().code, 'INVALID_ARGUMENT')
  }
  t.equal(handled, 3)
  await app.close()
})

t.test('a store that breaks lets nothing through', async (t) => {
  const app = fastify()
  const broken = {
    raise(): number {
      throw new Error('the disk is gone')
    },
  }
  app.addHook('preHandler', fenceHook(createFence(broken), { resource: () => 'r' }))
  app.put('/', async () => 'written')
  t.equal((await app.inject({ method: 'PUT', url: '/', headers: { 'fencing-token': '1' } })).statusCode, 500)
  await app.close()
})

t.test('a Level store keeps the token with the data, atomically under concurrency and over restarts', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fence-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const open = async () => {
    const level = new Level<string, string>(directory)
    await level.open()
    const store = levelFenceStore(level.sublevel<string, string>('fence', {}))
    return { level, store, fence: createFence(store) }
  }
  const first = await open()
  const tokens = Array.from({ length: 200 }, (_, i) => ((i * 73) % 200) + 1)
  const passed: number[] = []
  await Promise.all(
    tokens.map((token) =>
      first.fence.check('r', token).then(
        () => passed.push(token),
        () => {},
      ),
    ),
  )
  t.same(
    passed,
    [...passed].sort((a, b) => a - b),
    'what passed only rose',
  )
  t.equal(passed.at(-1), 200)
  await first.store.write('disk', 7, [{ type: 'put', key: 'data', value: 'of 7' }])
  await t.rejects(first.store.write('disk', 6, [{ type: 'put', key: 'data', value: 'of 6' }]), FencedError)
  await first.level.close()
  const second = await open()
  await t.rejects(second.fence.check('r', 199), FencedError, 'it is remembered')
  t.equal(await second.level.sublevel<string, string>('fence', {}).get('data'), 'of 7')
  await second.level.sublevel<string, string>('fence', {}).put('r', 'garbage')
  await t.rejects(second.fence.check('r', 500), { code: 'INTERNAL' }, 'a mark that cannot be read opens nothing')
  await second.level.close()
})

interface Database {
  exec(sql: string): void
  run(statement: SqlStatement): number
  get(sql: string): unknown
  close(): void
}

/** node:sqlite, where this Node has it. */
async function sqlite(): Promise<Database | null> {
  const name = 'node:sqlite'
  const module = await import(name).catch(() => null)
  if (module === null) return null
  const database = new module.DatabaseSync(':memory:')
  return {
    exec: (sql) => database.exec(sql),
    run: ({ text, values }) => Number(database.prepare(text).run(...values).changes),
    get: (sql) => ({ ...database.prepare(sql).get() }),
    close: () => database.close(),
  }
}

t.test('SQL statements carry the condition with them, parameterised and quoted', async (t) => {
  const fence = sqlFence({ table: 'jobs', key: ['id'] })
  t.same(fence.update({ id: 5 }, { state: 'done' }, 34), {
    text: 'UPDATE "jobs" SET "state" = ?, "fencing_token" = ? WHERE "id" = ? AND ("fencing_token" IS NULL OR "fencing_token" <= ?)',
    values: ['done', 34, 5, 34],
  })
  t.same(fence.upsert({ id: 5 }, { state: 'done' }, 34), {
    text: 'INSERT INTO "jobs" ("id", "state", "fencing_token") VALUES (?, ?, ?) ON CONFLICT ("id") DO UPDATE SET "state" = excluded."state", "fencing_token" = excluded."fencing_token" WHERE ("jobs"."fencing_token" IS NULL OR "jobs"."fencing_token" <= excluded."fencing_token")',
    values: [5, 'done', 34],
  })
  t.same(fence.remove({ id: 5 }, 34), {
    text: 'DELETE FROM "jobs" WHERE "id" = ? AND ("fencing_token" IS NULL OR "fencing_token" <= ?)',
    values: [5, 34],
  })
  const numbered = sqlFence({ table: 'jobs', key: ['tenant', 'id'], tokenColumn: 'tok', parameters: '$' })
  t.equal(
    numbered.update({ tenant: 't', id: 5 }, { state: 'done' }, 34).text,
    'UPDATE "jobs" SET "state" = $1, "tok" = $2 WHERE "tenant" = $3 AND "id" = $4 AND ("tok" IS NULL OR "tok" <= $5)',
  )
  t.same(numbered.predicate(34, 3), { text: '("tok" IS NULL OR "tok" <= $3)', values: [34] })
  for (const table of ['', 'a b', 'x"; DROP TABLE jobs; --', '1a']) t.throws(() => sqlFence({ table, key: ['id'] }))
  t.throws(() => sqlFence({ table: 'jobs', key: [] }), { code: 'INVALID_ARGUMENT' })
  t.throws(() => fence.update({}, { state: 'done' }, 34), { code: 'INVALID_ARGUMENT' }, 'no key would be every row')
  t.throws(() => fence.update({ id: 1 }, { fencing_token: 9 }, 34), { code: 'INVALID_ARGUMENT' })
  t.throws(() => fence.update({ id: 1 }, { 'a" = 1 --': 9 }, 34), { code: 'INVALID_ARGUMENT' })
  t.throws(() => fence.update({ id: 1 }, { state: 'x' }, 0), { code: 'INVALID_ARGUMENT' })
})

t.test('a database executes them as meant', async (t) => {
  const database = await sqlite()
  if (database === null) return t.pass('this Node brings no database: the statements were checked by their text')
  database.exec('CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, fencing_token BIGINT)')
  const fence = sqlFence({ table: 'jobs', key: ['id'] })
  t.equal(database.run(fence.upsert({ id: 5 }, { state: 'a' }, 34)), 1)
  t.equal(database.run(fence.update({ id: 5 }, { state: 'b' }, 35)), 1)
  t.equal(database.run(fence.update({ id: 5 }, { state: 'late' }, 34)), 0)
  t.equal(database.run(fence.upsert({ id: 5 }, { state: 'late' }, 34)), 0)
  t.equal(database.run(fence.remove({ id: 5 }, 34)), 0)
  t.same(database.get('SELECT * FROM jobs'), { id: 5, state: 'b', fencing_token: 35 })
  t.equal(database.run(fence.remove({ id: 5 }, 35)), 1)
  database.close()
})
