/** What a quota may be, its two forms, and the requests and commands about it. */
import {
  type Allocate,
  burstOf,
  type Claim,
  type Command,
  checkQuotaKey,
  checkQuotaSpec,
  classOf,
  clusterMs,
  type Draw,
  decodeCommands,
  drawFields,
  drawOfFields,
  encodeCommands,
  INTERNAL_OP,
  LIMITS,
  OP,
  parseCommand,
  parseDraw,
  parseTake,
  parseTop,
  QUOTA_DEFAULTS,
  type QuotaSpec,
  quotaFields,
  quotaOfFields,
  rateLimit,
  rateLimitPolicy,
  retryAfter,
  rowsOf,
  run,
  TAKE,
  takeItem,
  tokensPerMsOf,
  type Want,
} from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { refused } from './support.js'

const BANDWIDTH = { tokens: 100, perMs: 1_000, burst: 200 }
const KEYED = { ...QUOTA_DEFAULTS, bandwidths: [BANDWIDTH], perKey: true }
const spec = (more: Partial<QuotaSpec> = {}): QuotaSpec => ({ ...QUOTA_DEFAULTS, bandwidths: [BANDWIDTH], ...more })

const SPECS: readonly QuotaSpec[] = [
  spec(),
  spec({ parent: 'all', weight: 1_000, guaranteedPercent: 100, borrow: false, initial: 0, shadow: true }),
  spec({ bandwidths: [BANDWIDTH, { tokens: 1, perMs: 2, burst: 3 }], whenUnavailable: 'allow', initial: 3 }),
  {
    ...KEYED,
    keys: [
      ['a', 'q/a'],
      ['ü \u0000', 'q/b'],
    ],
  },
]

t.test('a specification comes back from its fields, wherever they begin', async (t) => {
  for (const one of SPECS) {
    const fields = ['before', ...quotaFields(one), 'after']
    t.same(quotaOfFields(fields, 1), { spec: one, end: fields.length - 1 })
    t.same(checkQuotaSpec(one), one)
  }
  t.same(checkQuotaSpec({ bandwidths: [{ tokens: 5, perMs: 10 }] }).bandwidths, [{ tokens: 5, perMs: 10, burst: 5 }])
  t.equal(burstOf(SPECS[2]!), 3)
  t.equal(tokensPerMsOf(SPECS[2]!), 0.1)
})

t.test('what is no specification is refused with a word that names the field', async (t) => {
  const wrongs: [unknown, RegExp][] = [
    [null, /^quota must be an object/],
    [[], /^quota must be an object/],
    [7, /^quota must be an object/],
    [{ ...spec(), color: 1 }, /^color is no field of a quota/],
    [{}, /^bandwidths must be an array/],
    [spec({ bandwidths: [] }), /^bandwidths must be 1 to 4/],
    [spec({ bandwidths: [1, 2, 3, 4, 5].map((perMs) => ({ ...BANDWIDTH, perMs })) }), /^bandwidths must be 1 to 4/],
    [spec({ bandwidths: [BANDWIDTH, BANDWIDTH] }), /must differ in perMs/],
    [spec({ bandwidths: [7 as never] }), /^bandwidths\[0\] must be an object/],
    [spec({ bandwidths: [null as never] }), /^bandwidths\[0\] must be an object/],
    [spec({ bandwidths: [[] as never] }), /^bandwidths\[0\] must be an object/],
    [spec({ bandwidths: [{ ...BANDWIDTH, per: 1 } as never] }), /^bandwidths\[0\]\.per is no field/],
    [spec({ bandwidths: [{ ...BANDWIDTH, tokens: 0 }] }), /^bandwidths\[0\]\.tokens must be/],
    [spec({ bandwidths: [{ ...BANDWIDTH, burst: 1.5 }] }), /^bandwidths\[0\]\.burst must be/],
    [spec({ bandwidths: [{ ...BANDWIDTH, perMs: LIMITS.quotaPerMsMax + 1 }] }), /^bandwidths\[0\]\.perMs must be/],
    [spec({ weight: 0 }), /^weight must be/],
    [spec({ guaranteedPercent: 5 }), /must be 0 without a parent/],
    [spec({ parent: 'p', borrow: false }), /^borrow must be true/],
    [spec({ initial: 201 }), /^initial must be at most the smallest burst, 200/],
    [{ ...KEYED, parent: 'p' }, /^parent must be null for a perKey quota/],
    [{ ...KEYED, initial: 1 }, /^initial must be null for a perKey quota/],
    [spec({ keys: [['a', 'q']] }), /^keys must be empty unless perKey/],
    [{ ...KEYED, keys: [['a']] }, /^keys\[0\] must be a key and the name/],
    [
      {
        ...KEYED,
        keys: [
          ['a', 'q'],
          ['a', 'r'],
        ],
      },
      /^keys must differ/,
    ],
    [{ ...KEYED, keys: Array.from({ length: 257 }, (_, i) => [`k${i}`, 'q']) }, /^keys must be at most 256/],
    [spec({ whenUnavailable: 'maybe' as never }), /^whenUnavailable must be deny or allow/],
  ]
  for (const [value, says] of wrongs) refused(t, () => checkQuotaSpec(value), 'INVALID_ARGUMENT', says)
  refused(t, () => checkQuotaKey(''), 'INVALID_ARGUMENT', /must not be empty/)
  refused(t, () => checkQuotaKey('x'.repeat(10_240)), 'TOO_LARGE', /at most 255 bytes/)
  const cut = quotaFields({ ...KEYED, keys: [['a', 'q']] }).slice(0, -1)
  refused(t, () => quotaOfFields(cut, 0), 'INVALID_ARGUMENT', /ends too early/)
  refused(t, () => quotaOfFields(quotaFields(spec()).slice(0, -2), 0), 'INVALID_ARGUMENT', /must be/)
  refused(
    t,
    () => quotaOfFields([...quotaFields(spec()).slice(0, 9), 1, 2], 0),
    'INVALID_ARGUMENT',
    /must be|too early/,
  )
})

t.test('takes, draws and their kin are read as they were written', async (t) => {
  t.same(parseTake([TAKE.all, 'a', 1, null, 'b', 2, 'key']), {
    mode: TAKE.all,
    items: [
      { quota: 'a', cost: 1, key: null },
      { quota: 'b', cost: 2, key: 'key' },
    ],
  })
  t.same(parseTake([TAKE.upTo, 'a', 1, null]).mode, TAKE.upTo)
  t.same(takeItem('a', 3, 'k'), { quota: 'a', cost: 3, key: 'k' })
  t.same(parseDraw(['a', 0, 1, 2, 3]), { quota: 'a', wanted: 0, tab: 1, spent: 2, returned: 3 })
  t.same(parseTop(['a', 20]), { name: 'a', limit: 20 })
  for (const wrong of [
    [TAKE.all],
    [TAKE.all, 'a'],
    [TAKE.peek, 'a', 1, null, 'b', 1, null],
    [TAKE.all, ...Array(27).fill(1)],
  ])
    refused(t, () => parseTake(wrong), 'INVALID_ARGUMENT', /^take has 1 to 8 items/)
  for (const cost of [0, -1, 1.5, LIMITS.quotaTokensMax + 1, '1'])
    refused(t, () => parseTake([TAKE.all, 'a', cost, null]), 'INVALID_ARGUMENT', /^cost must be/)
  refused(t, () => parseTake([3, 'a', 1, null]), 'INVALID_ARGUMENT', /^mode must be/)
  for (const op of [OP.quotaSet, OP.quotaDelete, OP.take, OP.draw, OP.quotaGet, OP.quotaList, OP.quotaTop])
    t.ok(classOf(op, 1) >= classOf(op, 2))
})

t.test('commands about quotas come back from the log as they went in', async (t) => {
  const request = { scope: 's:1', key: 7, lowest: 3, knownMs: clusterMs(5) }
  const commands: Command[] = [
    ...SPECS.map((one): Command => ({ op: OP.quotaSet, principal: 'p', name: 'q', spec: one, request })),
    { op: OP.quotaSet, principal: 'p', name: 'q', spec: spec(), request: null },
    { op: OP.quotaDelete, principal: 'p', name: 'q', request },
    { op: OP.quotaDelete, principal: 'p', name: 'q', request: null },
  ]
  t.same(decodeCommands(encodeCommands(commands)), commands)
  const sender = { principal: 'p', scope: 's:1' }
  t.same(parseCommand(OP.quotaSet, [7, 3, 5, 'q', ...quotaFields(spec())], sender), { ...commands[0], request })
  t.same(parseCommand(OP.quotaDelete, [7, 3, 5, 'q'], sender), commands[5])
  const long = [7, 3, 5, 'q', ...quotaFields(spec()), 1]
  refused(t, () => parseCommand(OP.quotaSet, long, sender), 'INVALID_ARGUMENT', /^quotaSet takes/)
})

t.test('draws come back as they were, in the log and between members', async (t) => {
  const natural = fc.nat(1_000_000)
  const draw: fc.Arbitrary<Draw> = fc.record({
    member: fc.constantFrom('n1', 'n2'),
    run: natural.map(run),
    seq: natural,
    reports: fc.array(
      fc.record({ quota: fc.constantFrom('a', 'b'), tab: natural, spent: natural, returned: natural }),
      { maxLength: 4 },
    ),
    wants: fc.array(
      fc.record({
        quota: fc.constantFrom('a', 'b'),
        claims: fc.array(fc.tuple(natural, fc.integer({ min: 1, max: 9 })), { maxLength: 3 }),
      }),
      { maxLength: 4 },
    ),
  })
  fc.assert(
    fc.property(fc.array(draw, { maxLength: 4 }), (draws) => {
      const allocate: Allocate = { op: INTERNAL_OP.allocate, draws }
      t.same(decodeCommands(encodeCommands([allocate])), [allocate])
      for (const one of draws) t.same(drawOfFields(drawFields(one)), one)
    }),
    { numRuns: 50 },
  )
  const one = drawFields({ member: 'n1', run: run(1), seq: 1, reports: [], wants: [{ quota: 'a', claims: [[1, 1]] }] })
  refused(t, () => drawOfFields(one.slice(0, -2)), 'INVALID_ARGUMENT', /ends too early/)
})

t.test('a draw of another member is within its bounds, or refused as too large', async (t) => {
  const many = (count: number, claims: number) =>
    Array.from({ length: count }, (_, n) => ({
      quota: `q${n}`,
      claims: Array.from({ length: claims }, (): Claim => [1, 1]),
    }))
  const draw = (wants: readonly Want[], reports = 0): Draw => ({
    ...{ member: 'n1', run: run(1), seq: 1, wants },
    reports: Array.from({ length: reports }, (_, n) => ({ quota: `q${n}`, tab: 1, spent: 0, returned: 0 })),
  })
  const { drawQuotasMax, drawClaimsMax, drawRowsMax } = LIMITS
  for (const well of [draw([]), draw(many(drawQuotasMax, 3), drawQuotasMax), draw(many(100, drawClaimsMax))]) {
    t.same(drawOfFields([...drawFields(well), 'later']), well)
    t.ok(rowsOf(well) <= drawRowsMax)
  }
  for (const large of [
    draw(many(drawQuotasMax + 1, 1)),
    draw([], drawQuotasMax + 1),
    draw(many(1, drawClaimsMax + 1)),
    draw(many(drawQuotasMax, 8)),
  ]) {
    t.throws(() => drawOfFields(drawFields(large)), { code: 'TOO_LARGE' })
  }
  t.throws(() => drawOfFields(['n1', 1, 1, 2, 'q']), { code: 'INVALID_ARGUMENT' })
})

t.test('what headers say of a quota', async (t) => {
  t.equal(rateLimit('a/b', { remaining: 3.9, resetMs: 1 }), '"a/b";r=3;t=1')
  t.equal(rateLimit('a/b', { remaining: -1, resetMs: 0 }), '"a/b";r=0;t=0')
  t.equal(rateLimitPolicy('a', 200, 0.1), '"a";q=200;w=2')
  t.equal(rateLimitPolicy('a', 1, 10), '"a";q=1;w=1')
  t.equal(rateLimitPolicy('a', 200, null), '"a";q=200')
  t.same([retryAfter(0), retryAfter(1_000), retryAfter(1_001)], ['1', '1', '2'])
})
