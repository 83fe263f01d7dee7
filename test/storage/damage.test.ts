import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { copyDirectory, cuts, type Damage, damagedCopy, describeDamage, everyByte, filesOf, flips } from './damage.js'
import { compact, judge, type Written, writePristine } from './pristine.js'

const SEED = Number(process.env.DAMAGE_SEED ?? 20_261_122)

const PLAIN_FILES = /^(side|identity)$|CURRENT$/

const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'leasehold-damage-'))
t.setTimeout(300_000)
t.teardown(() => rmSync(root, { recursive: true, force: true }))

const mixed = join(root, 'mixed')
const compacted = join(root, 'compacted')
const written = await writePristine(mixed, SEED)
copyDirectory(mixed, compacted)
await compact(compacted)
const small = join(root, 'small')
const writtenSmall = await writePristine(small, SEED, { rounds: 2, flushes: 1 })

/** Opens a damaged copy twice, and writes to one that is served. Returns what went wrong, and counts what came of it. */
async function endure(pristine: string, written: Written, damages: readonly Damage[]) {
  const wrong: string[] = []
  const verdicts: Record<string, number> = {}
  const copy = join(root, 'copy')
  for (const damage of damages) {
    damagedCopy(pristine, copy, damage)
    const first = await judge(copy, written)
    const second = await judge(copy, first.left)
    verdicts[first.verdict] = (verdicts[first.verdict] ?? 0) + 1
    if (first.wrong !== null) wrong.push(`${describeDamage(damage)}: ${first.wrong}`)
    if (second.verdict !== first.verdict) {
      wrong.push(`${describeDamage(damage)}: ${first.verdict}, then ${second.verdict} (${second.wrong})`)
    }
  }
  return { wrong, verdicts }
}

t.test('the pristine directories are what the claims are about', async (t) => {
  const names = filesOf(mixed).map(({ file }) => file)
  for (const pattern of [/\.ldb$/, /\.log$/, /MANIFEST/, /CURRENT$/, /^identity$/, /^side$/]) {
    t.ok(
      names.some((name) => pattern.test(name)),
      `${pattern} is there`,
    )
  }
  for (const path of [mixed, compacted]) {
    const bytes = filesOf(path).reduce((sum, file) => sum + file.bytes, 0)
    t.ok(bytes >= 524_288 && bytes <= 1_310_720, `${bytes} bytes`)
    const copy = join(root, 'undamaged')
    copyDirectory(path, copy)
    t.match(await judge(copy, written), { verdict: 'exact', wrong: null })
  }
})

const CLAIMS: [string, string, Written, readonly Damage[]][] = [
  ['a flipped byte anywhere', mixed, written, flips(mixed, 320, SEED)],
  ['a flipped byte anywhere after a compaction', compacted, written, flips(compacted, 200, SEED + 1)],
  [
    'a flipped byte at any place of side, identity and CURRENT',
    small,
    writtenSmall,
    everyByte(small, PLAIN_FILES, SEED),
  ],
  ['any file truncated or deleted', mixed, written, cuts(mixed, SEED)],
  ['any file truncated or deleted after a compaction', compacted, written, cuts(compacted, SEED)],
]

for (const [what, pristine, content, damages] of CLAIMS) {
  t.test(`${what} is recovered from exactly, or refused for good`, { timeout: 300_000 }, async (t) => {
    const { wrong, verdicts } = await endure(pristine, content, damages)
    t.same(wrong, [])
    t.ok(Object.keys(verdicts).some((verdict) => verdict !== 'exact'))
    t.comment(`${damages.length} damages: ${JSON.stringify(verdicts)}`)
  })
}
