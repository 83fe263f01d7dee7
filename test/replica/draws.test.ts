/** How draws get into the log: each at most once, those of several members together, within bounds; and what quotas tell each other. */
import {
  type Allocate,
  checkQuotaSpec,
  type Draw,
  drawFields,
  drawOfFields,
  ERRORS,
  LIMITS,
  logIndex,
  OK,
  OP,
  type QuotaSet,
  run,
  term,
} from '@leasehold/protocol'
import { silent } from '@leasehold/server/ports'
import {
  type Drawn,
  Draws,
  decodeForward,
  encodeForward,
  FORWARD,
  type ForwardedDraw,
  REPLICA_LIMITS,
} from '@leasehold/server/replica'
import t, { type Test } from 'tap'
import { VirtualClock } from '../support/virtualclock.js'
import { Cluster } from './cluster.js'
import { acquire } from './commands.js'
import { formerVersion, THIS } from './nextversion.js'

const WANT = [{ quota: 'q', claims: [[5, 1]] as const }]
const MANY = Array.from({ length: 2_000 }, (_, n) => ({ quota: `q${n}`, claims: [[1, 1]] as const }))

/** The draws of one member alone, with what it sends and orders. */
function alone(t: Test) {
  const clock = new VirtualClock()
  const sent: { to: string; message: ForwardedDraw }[] = []
  const ordered: Allocate[] = []
  const logged: string[] = []
  const draws = new Draws({
    self: 'n1@d',
    clock,
    telemetry: { ...silent, log: (_level, event) => logged.push(event) },
    run: () => run(7),
    send: (to, message) => sent.push({ to, message }),
    order: (command) => ordered.push(command),
    guard: (step) => step(),
  })
  const told: (Drawn | null)[] = []
  draws.onDrawn((drawn) => told.push(drawn))
  const drawn = (seq: number, of = 7): Drawn => ({ member: 'n1', run: run(of), seq, outcomes: [] })
  t.equal(draws.leader, null)
  return { clock, sent, ordered, logged, draws, told, drawn }
}

const drawOf = (member: string, over: Partial<Draw> = {}): Draw => ({
  ...{ member, run: run(7), seq: 1, reports: [], wants: WANT },
  ...over,
})
const offered = (draw: Draw, of = 3): ForwardedDraw => ({ kind: FORWARD.draw, term: term(of), draw })

t.test('a draw is sent to whoever leads, again and again, until it is seen applied', async (t) => {
  const { clock, sent, draws, told, drawn } = alone(t)
  const seq = draws.draw([], WANT)
  t.equal(sent.length, 0, 'nobody leads')
  t.throws(() => draws.draw([], WANT), /one draw at a time/)
  draws.follow(term(3), 'n2@d')
  t.match(sent, [{ to: 'n2@d', message: { term: 3, draw: { member: 'n1', run: 7, seq, wants: WANT } } }])
  draws.tick(clock.monotonicMs() + REPLICA_LIMITS.drawAgainMs - 1)
  t.equal(sent.length, 1)
  clock.advance(REPLICA_LIMITS.drawAgainMs)
  draws.tick(clock.monotonicMs())
  t.equal(sent.length, 2)
  draws.follow(term(4), null)
  draws.follow(term(5), 'n3@d')
  t.match(sent.at(-1), { to: 'n3@d', message: { term: 5, draw: { seq } } }, 'the next leader hears of it')
  draws.linked('n3@d', 'up')
  t.equal(sent.length, 4, 'and again when the link is new')
  draws.applied([drawn(seq, 6), drawn(seq - 1)])
  t.equal(draws.under, true)
  draws.applied([drawn(seq)])
  t.equal(draws.under, false)
  t.match(told.at(-1), { seq })
  t.equal(draws.draw([], WANT), seq + 1)
})

t.test('a snapshot says which draws were executed, and the next ones go on from there', async (t) => {
  const { draws, told } = alone(t)
  const seq = draws.draw([], WANT)
  draws.installed(seq - 1)
  t.equal(draws.under, true, 'this one was not')
  draws.installed(seq + 4)
  t.equal(draws.under, false)
  t.same(told, [null, null])
  t.equal(draws.draw([], WANT), seq + 5)
})

t.test('a leader waits for those who drew lately, and judges all together', async (t) => {
  const { clock, ordered, draws } = alone(t)
  draws.lead(term(3))
  draws.draw([], WANT)
  t.equal(ordered.length, 1, 'nobody else is to be expected')
  for (const member of ['n2', 'n3']) draws.forwarded(`${member}@d`, offered(drawOf(member)))
  clock.advance(REPLICA_LIMITS.drawGatherMs)
  draws.forwarded('n2@d', offered(drawOf('n2', { seq: 2 })))
  const before = ordered.length
  draws.forwarded('n3@d', offered(drawOf('n3', { seq: 2 })))
  t.equal(ordered.length, before, 'n1 drew lately')
  clock.advance(REPLICA_LIMITS.drawGatherMs)
  t.same(
    ordered.at(-1)!.draws.map(({ member, seq }) => [member, seq]),
    [
      ['n2', 2],
      ['n3', 2],
    ],
  )
  draws.forwarded('n2@d', offered(drawOf('n2', { seq: 3 }), 2))
  draws.forwarded('n2@d', offered(drawOf('n3', { seq: 3 })))
  clock.advance(REPLICA_LIMITS.drawLatelyMs)
  t.equal(ordered.length, before + 1, 'not of another term, nor by anybody else')
  draws.forwarded('n3@d', offered(drawOf('n3', { seq: 4 })))
  t.equal(ordered.length, before + 2, 'nobody else drew lately')
  draws.forwarded('n2@d', offered(drawOf('n2', { seq: 4 })))
  draws.follow(term(4), 'n2@d')
  clock.advance(100)
  t.equal(ordered.length, before + 2, 'who leads no more orders nothing')
})

t.test('what goes into one entry is bounded', async (t) => {
  const { clock, ordered, draws } = alone(t)
  draws.lead(term(3))
  const wants = MANY.slice(0, LIMITS.drawQuotasMax).map(({ quota }) => ({
    quota,
    claims: [
      [1, 1],
      [1, 1],
      [1, 1],
    ] as const,
  }))
  for (let n = 2; n <= 9; n++) draws.forwarded(`n${n}@d`, offered(drawOf(`n${n}`, { wants })))
  clock.advance(REPLICA_LIMITS.drawGatherMs)
  const members = ordered.flatMap((one) => one.draws.map(({ member }) => member))
  t.same(members.sort(), ['n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9'])
  t.ok(ordered.every((one) => one.draws.length <= 2) && ordered.length >= 4)
})

t.test('a draw of another member is checked; what a later version says behind it is passed over', async (t) => {
  const draw = drawOf('n2', { reports: [{ quota: 'q', tab: 3, spent: 2, returned: 1 }] })
  const message = { kind: FORWARD.draw, term: term(3), draw } as const
  t.same(decodeForward(encodeForward(message)), message)
  t.same(drawOfFields([...drawFields(draw), 'later', 1]), draw)
  const large: Partial<Draw>[] = [
    { wants: MANY },
    { reports: MANY.map(({ quota }) => ({ quota, tab: 1, spent: 0, returned: 0 })) },
    { wants: [{ quota: 'q', claims: Array.from({ length: LIMITS.drawClaimsMax + 1 }, () => [1, 1] as const) }] },
    {
      wants: MANY.slice(0, 200).map(({ quota }) => ({
        quota,
        claims: Array.from({ length: LIMITS.drawClaimsMax }, () => [1, 1] as const),
      })),
    },
  ]
  for (const over of large) t.throws(() => drawOfFields(drawFields(drawOf('n2', over))), { code: 'TOO_LARGE' })
  const { draws, logged } = alone(t)
  draws.lead(term(3))
  draws.forwarded('n3@d', offered(draw))
  t.same(logged, ['draw of another member'])
})

t.test('what quotas tell each other is heard, unless it is of an older term or too long', async (t) => {
  const { draws } = alone(t)
  const heard: [string, number][] = []
  const stop = draws.onTold((from, message) => heard.push([from, message.length]))
  draws.onTold((from) => heard.push([from, -1]))
  const tell = (of: number, bytes = 3) =>
    draws.forwarded('n2@d', { kind: FORWARD.told, term: term(of), body: new Uint8Array(bytes) })
  draws.follow(term(3), 'n2@d')
  tell(3)
  tell(4)
  tell(2)
  tell(3, REPLICA_LIMITS.toldBytesMax + 1)
  t.same(heard, [
    ['n2@d', 3],
    ['n2@d', -1],
    ['n2@d', 3],
    ['n2@d', -1],
  ])
  stop()
  tell(3)
  t.equal(heard.length, 5)
})

const SPEC = checkQuotaSpec({ bandwidths: [{ tokens: 10, perMs: 3_600_000 }] })
const quotaSet = (name: string): QuotaSet => ({ op: OP.quotaSet, principal: 'p', name, spec: SPEC, request: null })

t.test('in a cluster: executed once, whoever leads meanwhile; and after a snapshot', async (t) => {
  const c = await Cluster.of(3, 1, { tailEntries: 8 })
  t.equal((await c.leader.call(quotaSet('q'))).code, OK)
  await c.run(100)
  const [drawer, other] = c.followers as [typeof c.leader, typeof c.leader]
  const told: (Drawn | null)[] = []
  drawer.replica.onDrawn((drawn) => told.push(drawn))
  // Nobody answers the leader for a while: the draw is sent twice.
  const { leader } = c
  let silentUntilMs = c.clock.monotonicMs() + 280
  c.network.swallow = ({ from, channel }) =>
    from === leader.peer && channel === 1 && c.clock.monotonicMs() < silentUntilMs
  drawer.replica.draw([], [{ quota: 'q', claims: [[4, 1]] }])
  await c.run(1_500)
  t.match(told, [{ outcomes: [{ granted: 4 }] }], 'once')
  t.match(drawer.replica.getQuota('q'), { available: 6, outstanding: 4 })

  // The leader dies before it has heard of it.
  const second = c.leader === drawer ? other : drawer
  const from = second === drawer ? told : []
  if (second !== drawer) second.replica.onDrawn((drawn) => from.push(drawn))
  const heard = from.length
  silentUntilMs = 0
  c.network.swallow = ({ channel }) => channel === 2
  second.replica.draw([], [{ quota: 'q', claims: [[3, 1]] }])
  await c.run(20)
  const dead = c.leader
  await dead.kill()
  c.network.swallow = () => false
  await c.settled()
  await c.run(600)
  t.equal(from.length, heard + 1)
  t.match(second.replica.getQuota('q'), { available: 3 })
  await dead.start({ tailEntries: 8 })
  await c.settled()

  // Cut off for so long that a snapshot takes the state's place.
  const [away] = c.followers as [typeof c.leader]
  const awayTold: (Drawn | null)[] = []
  away.replica.onDrawn((drawn) => awayTold.push(drawn))
  c.network.swallow = ({ from, to }) => from === away.peer || to === away.peer
  for (let n = 0; n < 40; n++) await c.leader.call(acquire(`lease/${n}`))
  const { lastIndex } = c.leader.replica.status
  c.network.swallow = () => false
  for (let ms = 0; away.replica.status.appliedIndex < logIndex(lastIndex); ms += 50) {
    if (ms > 20_000) throw new Error('it does not come back')
    await c.run(50)
  }
  await c.settled()
  t.ok(awayTold.includes(null), 'a snapshot was installed')
  const seq = away.replica.draw([], [{ quota: 'q', claims: [[1, 1]] }])
  await c.run(500)
  t.match(awayTold.at(-1), { seq, outcomes: [{ granted: 1 }] })
  await c.close()
})

t.test('quotas come into use once every member knows them, and no former member hears of them before', async (t) => {
  const former = await formerVersion(t)
  const c = await Cluster.of(3, 1, {}, former)
  const members = [...c.members]
  t.equal(c.leader.replica.format, 1)
  let early = 0
  for (const member of members) {
    t.equal((await c.leader.call(quotaSet('q'))).code, ERRORS.UPGRADE_PENDING.wire)
    await member.kill()
    member.version = THIS
    await member.start()
    await c.settled()
    if (c.living.some(({ version }) => version !== THIS)) {
      t.throws(() => member.replica.draw([], WANT), /before every member knows of quotas/)
      t.equal((await member.call(quotaSet('q'))).code, ERRORS.UPGRADE_PENDING.wire)
      early += Number(member.replica.tell(c.leader.peer, new Uint8Array(3)))
    }
  }
  t.equal(early, 0, 'nothing is told before')
  for (let ms = 0; c.leader.replica.format < 2; ms += 50) {
    if (ms > 5_000) throw new Error('the format stays')
    await c.run(50)
  }
  t.equal((await c.leader.call(quotaSet('q'))).code, OK)
  const [drawer] = c.followers as [typeof c.leader]
  drawer.replica.draw([], WANT)
  await c.run(500)
  t.match(drawer.replica.getQuota('q'), { available: 5, outstanding: 5 })
  await drawer.kill()
  await drawer.start()
  await c.settled()
  t.match(drawer.replica.getQuota('q'), { outstanding: 5 }, 'it is there after a start')
  await c.close()
})
