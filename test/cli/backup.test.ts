import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { leasehold, scratch, serving } from './process.js'

t.setTimeout(120_000)

/** A backup with this in it: one holds what was written down, which is a moment ago. */
async function backedUp(url: string, folder: string, text: string): Promise<string> {
  for (let number = 1; ; number++) {
    const file = join(folder, `backup-${number}`)
    const { code, err } = await leasehold(['backup', file, '--url', url])
    if (code !== 0) throw new Error(err)
    if (readFileSync(file).includes(text)) return file
  }
}

t.test('a backup of a running server is restored as another cluster, its holders fenced off', async (t) => {
  const folder = scratch(t)
  const server = await serving(t, join(folder, 'data'))
  const at = ['--url', server.url]
  for (const name of ['a', 'b'])
    await leasehold(['lease', 'acquire', name, '--ttl', '1h', '--holder', `holder-of-${name}`, ...at])
  const file = await backedUp(server.url, folder, 'holder-of-b')
  t.notOk(existsSync(`${file}.partial`))
  t.match(await leasehold(['backup', file, ...at]), { code: 1, err: /exists/ }, 'no file is written over')

  const restored = join(folder, 'restored')
  const report = await leasehold(['restore', file, '--data', restored, '--json'])
  t.equal(report.code, 0, report.err)
  const { clusterId, tokenFloor } = JSON.parse(report.out) as { clusterId: string; tokenFloor: number }
  t.ok(tokenFloor > 2 ** 40)
  const second = await serving(t, restored)
  const body = (await (await fetch(`${second.url}/v1/cluster`)).json()) as { clusterId: string }
  t.equal(body.clusterId, clusterId)
  t.match(await leasehold(['lease', 'get', 'a', '--url', second.url]), { code: 0, out: /holder +holder-of-a/ })
  const next = await leasehold(['lease', 'acquire', 'c', '--url', second.url, '--json'])
  t.ok((JSON.parse(next.out) as { token: number }).token >= tokenFloor)
  t.match(await leasehold(['history', '--verify', '--url', second.url]), { code: 0 })
})

t.test('what is no whole backup, and a directory that is not empty, are refused', async (t) => {
  const folder = scratch(t)
  const server = await serving(t, join(folder, 'data'))
  const file = await backedUp(server.url, folder, 'LHBACKUP')
  const bytes = readFileSync(file)
  const broken = join(folder, 'broken')
  const cases: [Uint8Array, RegExp][] = [
    [bytes.subarray(0, bytes.length - 1), /cut off/],
    [Buffer.from('something else entirely'), /not a backup/],
    [bytes.map((byte, at) => (at === bytes.length - 20 ? byte ^ 1 : byte)), /broken: /],
  ]
  for (const [content, sentence] of cases) {
    writeFileSync(broken, content)
    t.match(await leasehold(['restore', broken, '--data', join(folder, 'new')]), { code: 1, err: sentence })
  }
  t.equal(
    (await leasehold(['restore', file, '--data', join(folder, 'new')])).code,
    0,
    'the directory can still be used',
  )
  t.match(await leasehold(['restore', file, '--data', join(folder, 'new')]), { code: 1, err: /not empty/ })
  t.match(await leasehold(['restore', join(folder, 'nowhere')]), { code: 1, err: /no such file/ })
  t.equal((await leasehold(['backup', join(folder, 'x'), '--url', 'http://127.0.0.1:1'])).code, 3)
  t.notOk(existsSync(join(folder, 'x')), 'nothing is left behind')
})
