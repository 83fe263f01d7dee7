/** What the library does to the process that uses it: nothing at import, and nothing that keeps it alive for a lease. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { serve } from '../support/member.js'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')

/** Runs a program that imports the library; resolves with what it printed. */
async function program(text: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', text, '--', ...args], {
    cwd: root,
    timeout: 20_000,
  })
  return stdout
}

t.test('importing it, and creating a client, opens nothing and starts no timer', async (t) => {
  const out = await program(`
    // The loader closes the files that it has read a little later.
    const resting = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return process.getActiveResourcesInfo().sort().join()
    }
    const before = await resting()
    const { createClient } = await import('@leasehold/client')
    await import('@leasehold/client/fence')
    await import('@leasehold/client/ratelimit')
    const imported = await resting()
    createClient({ endpoints: ['http://127.0.0.1:1'] })
    const created = await resting()
    console.log(JSON.stringify({ before, imported, created }))
  `)
  const { before, imported, created } = JSON.parse(out)
  t.equal(imported, before)
  t.equal(created, before)
})

t.test('a process that holds a lease and has nothing else to do exits by itself', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const out = await program(
    `
    import { createClient } from '@leasehold/client'
    const client = createClient({ endpoints: [process.argv[1]], name: 'short', timeout: '2s' })
    const lease = await client.acquire('held/until-exit', { ttl: '1h' })
    lease.lostSignal()
    const watch = client.watch()
    // Longer than any deadline of a request: what is left is the timer of the lost signal alone.
    await new Promise((resolve) => setTimeout(resolve, 2_200))
    console.log(lease.token)
  `,
    served.url,
  )
  t.equal(out.trim(), '1')
  t.match(served.replica.getLease('held/until-exit')?.[5], 'held', 'its lease goes on: nobody released it')
})

t.test('a process that waits for a lease stays until it has it', async (t) => {
  const served = await serve()
  t.teardown(() => served.close())
  const out = await program(
    `
    import { createClient } from '@leasehold/client'
    const client = createClient({ endpoints: [process.argv[1]], name: 'short' })
    const first = await client.acquire('n', { ttl: '400ms' })
    const second = await client.acquire('n', { wait: '10s' })
    console.log(first.token, second.token, first.lost)
    first.remainingMs()
    console.log(first.lost)
  `,
    served.url,
  )
  t.equal(out, '1 2 null\nexpired\n')
})

t.test('a wait that is given up in the last moment does not keep the process long', async (t) => {
  const startMs = performance.now()
  const out = await program(`
    import { createClient } from '@leasehold/client'
    const client = createClient({ endpoints: ['http://127.0.0.1:1'], name: 'short' })
    await client.acquire('n', { signal: AbortSignal.timeout(100) }).catch((error) => console.log(error.code))
  `)
  t.equal(out.trim(), 'ABORTED')
  t.ok(performance.now() - startMs < 8_000)
})

interface Packed {
  readonly files: readonly { readonly path: string }[]
  readonly size: number
  readonly unpackedSize: number
}

t.test('the package brings its own code, and three small dependencies beside the protocol', async (t) => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--workspace', 'client'], { cwd: root })
  const packed = (JSON.parse(stdout) as Packed[])[0]!
  const paths = packed.files.map((file) => file.path)
  for (const file of [
    'package.json',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/fence/index.js',
    'dist/testing/index.js',
  ])
    t.ok(paths.includes(file), `${file} is in it`)
  const foreign = paths.filter((path) => !/^(package\.json|README\.md|LICENSE|dist\/[\w/]+\.(js|d\.ts))$/.test(path))
  t.same(foreign, [], 'nothing else is')
  t.ok(packed.size < 100_000, `${packed.size} bytes packed`)
  const manifest = JSON.parse(readFileSync(join(root, 'client/package.json'), 'utf8'))
  t.same(Object.keys(manifest.dependencies).sort(), ['@leasehold/protocol', '@msgpack/msgpack', 'lru-cache', 'ws'])
  t.same(manifest.peerDependenciesMeta, { '@leasehold/server': { optional: true } })
})
