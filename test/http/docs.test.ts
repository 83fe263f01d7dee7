/** docs/http.md names every route that the interface describes. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { serve } from '../support/member.js'
import { documentOf } from './ask.js'
import { FakeReplica } from './fake.js'

t.test('docs/http.md lists every route, and no other', async (t) => {
  const served = await serve({ replica: new FakeReplica() })
  t.teardown(() => served.close())
  const page = readFileSync(new URL('../../../docs/http.md', import.meta.url), 'utf8')
  const listed = [...page.matchAll(/^\| `(GET|PUT|POST|DELETE) (\/v1\/[^`?]+)/gm)].map(
    ([, method, path]) => `${method} ${path}`,
  )
  const described = Object.entries((await documentOf(served)).paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const known = described.filter((route) => route.includes(' /v1/') && !/^(HEAD|OPTIONS) /.test(route))
  t.same(
    known.filter((route) => !listed.includes(route)),
    [],
    'described, and not listed',
  )
  // The WebSocket and the backup, which this server was not given, are no part of the document.
  const others = ['GET /v1/session', 'GET /v1/cluster/backup']
  t.same(
    listed.filter((route) => !known.includes(route) && !others.includes(route)),
    [],
    'listed, and not described',
  )
})
