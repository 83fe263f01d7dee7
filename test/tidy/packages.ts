/** What the published packages bring along: exactly the lists of the design, and all that they import. */
import { importsOf } from './imports.js'
import { type HouseRule, isSource } from './rule.js'

const EXACT: Readonly<Record<string, { dependencies: string[]; peerDependencies: string[] }>> = {
  'protocol/package.json': { dependencies: ['@msgpack/msgpack'], peerDependencies: [] },
  'client/package.json': {
    dependencies: ['@leasehold/protocol', '@msgpack/msgpack', 'lru-cache', 'ws'],
    peerDependencies: ['@leasehold/server'],
  },
}

const keys = (value: unknown) => Object.keys((value ?? {}) as object).sort()

export const dependencyRule: HouseRule = {
  claim: 'the client and the protocol bring exactly the dependencies of the design',
  rule(path, text) {
    const exact = EXACT[path]
    if (exact === undefined) return []
    const manifest = JSON.parse(text) as Record<string, unknown>
    const lists = {
      dependencies: exact.dependencies,
      peerDependencies: exact.peerDependencies,
      optionalDependencies: [],
    }
    return Object.entries(lists).flatMap(([list, wanted]) =>
      keys(manifest[list]).join() === wanted.join()
        ? []
        : [{ line: 1, says: `${list} must be [${wanted.join(', ')}], not [${keys(manifest[list]).join(', ')}]` }],
    )
  },
  planted: [
    { path: 'protocol/package.json', text: '{"dependencies":{"@msgpack/msgpack":"1","left-pad":"1"}}' },
    { path: 'protocol/package.json', text: '{}' },
    { path: 'client/package.json', text: '{"dependencies":{"@leasehold/protocol":"1"}}' },
    {
      path: 'protocol/package.json',
      text: '{"dependencies":{"@msgpack/msgpack":"1"},"optionalDependencies":{"x":"1"}}',
    },
  ],
  innocent: [
    { path: 'protocol/package.json', text: '{"dependencies":{"@msgpack/msgpack":"1"}}' },
    { path: 'server/package.json', text: '{"dependencies":{"fastify":"1"}}' },
  ],
}

/** Packages that the files of a workspace import and its package.json does not name. `types` of a package count as it. */
export function undeclared(workspace: string, files: ReadonlyMap<string, string>): string[] {
  const manifest = JSON.parse(files.get(`${workspace}/package.json`)!) as Record<string, Record<string, string>>
  const declared = new Set([...keys(manifest.dependencies), ...keys(manifest.peerDependencies), manifest.name])
  const missing: string[] = []
  for (const [path, text] of files) {
    if (!path.startsWith(`${workspace}/`) || !isSource(path)) continue
    for (const { from, typeOnly } of importsOf(text)) {
      if (from.startsWith('.') || from.startsWith('node:') || typeOnly) continue
      const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/')
      if (!declared.has(name)) missing.push(`${path} imports ${name}`)
    }
  }
  return missing
}
