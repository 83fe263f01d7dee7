import { createHttp } from '@leasehold/server/http'
import t, { type Test } from 'tap'
import { Remembered, realClock, realRandom } from '../support/real.js'
import { FakeReplica } from './fake.js'

async function served(t: Test) {
  const replica = new FakeReplica()
  const telemetry = new Remembered()
  const app = await createHttp({ replica, clock: realClock, random: realRandom, telemetry, info: { version: '0.0.0' } })
  t.teardown(() => app.close())
  return { app, replica, telemetry }
}

t.test('acquire, renew and release answer as the contract shows', async (t) => {
  const { app } = await served(t)
  const url = '/v1/leases/billing%2Fleader'
  const granted = await app.inject({ method: 'PUT', url, payload: { holder: 'host-1', ttlMs: 10_000 } })
  t.equal(granted.statusCode, 200)
  t.same(granted.json(), {
    name: 'billing/leader',
    holder: 'host-1',
    token: 7,
    ttlMs: 10_000,
    remainingMs: 10_000,
    replayed: false,
  })
  const renewed = await app.inject({ method: 'POST', url: `${url}/renew`, payload: { token: 7 } })
  t.equal(renewed.statusCode, 200)
  t.match(renewed.json(), { token: 7, remainingMs: 10_000 })
  const released = await app.inject({ method: 'POST', url: `${url}/release`, payload: { token: 7 } })
  t.match(released.json(), { released: true })
  const missing = await app.inject({ method: 'GET', url })
  t.equal(missing.statusCode, 404)
  t.match(missing.json(), { code: 'LEASE_NOT_FOUND', retryable: false, title: String, detail: String })
})
