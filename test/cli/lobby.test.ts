/** What clients are told by a member that cannot serve yet. */
import { request } from 'node:http'
import { connect } from 'node:net'
import { Lobby } from '@leasehold/server/cli'
import t, { type Test } from 'tap'

async function open(t: Test): Promise<Lobby> {
  const lobby = new Lobby({ host: '127.0.0.1', port: 0 })
  await lobby.open()
  t.teardown(() => lobby.close())
  return lobby
}

const urlOf = ({ address: { host, port } }: Lobby) => `http://${host}:${port}`

t.test('it lives, it is not ready, and it says why', async (t) => {
  const lobby = await open(t)
  const alive = await fetch(`${urlOf(lobby)}/healthz?a=b`)
  t.same([alive.status, await alive.text()], [200, '{"ok":true}'])
  t.equal((await fetch(`${urlOf(lobby)}/healthz`, { method: 'HEAD' })).status, 200)
  t.equal((await fetch(`${urlOf(lobby)}/healthz`, { method: 'POST', body: 'x' })).status, 503)
  for (const why of ['forming: waiting for n2', 'starting']) {
    lobby.say(why)
    const ready = await fetch(`${urlOf(lobby)}/readyz`)
    t.equal(ready.headers.get('retry-after'), '1')
    t.match(await ready.json(), { status: 503, code: 'NO_QUORUM', detail: why, executed: false, retryable: true })
  }
})

t.test('bodies of any length and sessions are turned away, garbage is answered', async (t) => {
  const lobby = await open(t)
  const body = Buffer.alloc(4_000_000)
  t.equal((await fetch(`${urlOf(lobby)}/v1/leases/a`, { method: 'PUT', body })).status, 503)
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'a',
  }
  const status = await new Promise((resolve, reject) => {
    request(`${urlOf(lobby)}/v1/session`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
  t.equal(status, 503)
  const socket = connect(lobby.address.port, '127.0.0.1').setEncoding('utf8')
  socket.end('garbage\r\n\r\n')
  let said = ''
  for await (const text of socket) said += text
  t.match(said, /^HTTP\/1\.1 400 /)
})

t.test('it lets go of its port at once, and takes the same one again', async (t) => {
  const lobby = await open(t)
  const { port } = lobby.address
  const idle = connect(port, '127.0.0.1')
  await new Promise((resolve) => idle.once('connect', resolve))
  const gone = new Promise((resolve) => idle.once('close', resolve))
  idle.resume()
  await Promise.all([lobby.close(), lobby.close()])
  await gone
  const next = new Lobby({ host: '127.0.0.1', port })
  await next.open()
  await t.rejects(lobby.open(), { code: 'EADDRINUSE' })
  await next.close()
  await lobby.open()
  await lobby.open()
  t.equal(lobby.address.port, port)
})
