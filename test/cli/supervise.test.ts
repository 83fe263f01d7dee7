/** When a command around which a lease is held is told to end, and killed. */
import { judge, nextLookMs, SHARES, Supervisor } from '@leasehold/server/cli'
import fc from 'fast-check'
import t from 'tap'

t.test('told with a quarter of the ttl left, killed at a tenth, never twice', async (t) => {
  t.equal(judge('held', 700, 1000), 'wait')
  t.equal(judge('held', 600, 1000), 'renew')
  t.equal(judge('held', 250, 1000), 'tell')
  t.equal(judge('told', 250, 1000), 'wait')
  t.equal(judge('told', 900, 1000), 'wait', 'once told, a late renewal changes nothing')
  t.equal(judge('told', 100, 1000), 'kill')
  t.equal(judge('held', 0, 1000), 'kill', 'a lease that is lost at once leaves no time to tell')
  t.equal(judge('killed', 0, 1000), 'wait')
})

t.test('no threshold is slept through', async () => {
  const shares = [SHARES.renew, SHARES.term, SHARES.kill]
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 86_400_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (ttlMs, share) => {
        const remainingMs = ttlMs * share
        const verdict = judge('held', remainingMs, ttlMs)
        if (verdict === 'kill' || verdict === 'tell') return true
        const next = shares.find((each) => ttlMs * each < remainingMs) ?? 0
        return nextLookMs('held', remainingMs, ttlMs) <= Math.max(5, remainingMs - ttlMs * next)
      },
    ),
  )
})

/** A lease whose time left a test sets, and a group that writes down what it was sent. */
function stage(ttlMs: number) {
  const lost = new AbortController()
  const sent: string[] = []
  const grant = {
    left: ttlMs,
    asked: 0,
    renewable: true,
    remainingMs: () => grant.left,
    renew: async () => {
      grant.asked += 1
      if (!grant.renewable) throw new Error('away')
      grant.left = ttlMs
    },
    lostSignal: () => lost.signal,
  }
  const supervisor = new Supervisor(grant, { signal: (name) => sent.push(name) }, ttlMs, (now) => sent.push(now))
  t.teardown(() => supervisor.stop())
  return { grant, sent, supervisor, lost }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 30))

t.test('renews while it can; when it cannot, TERM, then KILL', async (t) => {
  const { grant, sent, supervisor } = stage(100)
  supervisor.start()
  grant.left = 60
  await turn()
  t.equal(grant.left, 100)
  grant.renewable = false
  grant.left = 40
  await turn()
  t.ok(grant.asked > 1)
  t.same(sent, [])
  grant.left = 20
  await turn()
  t.same(sent, ['SIGTERM', 'told'])
  grant.left = 5
  await turn()
  t.same(sent, ['SIGTERM', 'told', 'SIGKILL', 'killed'])
  await turn()
  t.equal(sent.length, 4)
})

t.test('a lease that is revoked ends the command at once, however long its ttl', async (t) => {
  const { grant, sent, supervisor, lost } = stage(3_600_000)
  supervisor.start()
  grant.left = 0
  lost.abort()
  t.same(sent, ['SIGKILL', 'killed'])
  supervisor.stop()
  supervisor.stop()
})
