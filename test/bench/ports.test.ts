import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { freePorts } from '#bench/ports.js'

const EPHEMERAL_FROM = 32_768

t.test('free ports stand in a row, below those of connections, and are not given twice in turn', async (t) => {
  const [a, b] = [await freePorts(6), await freePorts(6)]
  for (const ports of [a, b]) {
    t.same(
      ports,
      ports.map((_, at) => ports[0]! + at),
    )
    t.ok(ports.every((port) => port > 1_024 && port < EPHEMERAL_FROM))
  }
  t.same(
    a.filter((port) => b.includes(port)),
    [],
  )
})

t.test('a port that somebody listens on is passed over', async (t) => {
  const [first = 0] = await freePorts(2)
  const taken = createServer().listen(first + 3, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const next = await freePorts(2)
  t.notOk(next.includes(first + 3), `${next}`)
})

t.test('more than a process has are refused', (t) => t.rejects(freePorts(41), RangeError))
