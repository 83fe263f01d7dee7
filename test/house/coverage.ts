/**
 * Demands that the tests took every branch of the rooms whose claims rest on it. Reads the summary that the last run of
 * tap left behind. A file that no test ever loaded is missing there, and fails as well.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOMS = ['protocol', 'server/machine']
const REPORT = '.tap/report/coverage-summary.json'

/** What tap writes down of one file. */
export interface Covered {
  readonly branches: { readonly total: number; readonly covered: number; readonly pct: number }
}

/** Complaints about `files`, none if all is covered. The summary's paths are as those of the files. */
export function complaints(summary: Readonly<Record<string, Covered>>, files: readonly string[]): string[] {
  if (files.length === 0) return ['there is nothing to cover']
  return files.flatMap((file) => {
    const branches = summary[file]?.branches
    if (branches === undefined) return [`${file}: no test loads it`]
    return branches.pct === 100
      ? []
      : [`${file}: ${branches.covered} of ${branches.total} branches (${branches.pct} %)`]
  })
}

/** The sources of a room, without its outputs. */
export function sourcesOf(room: string): string[] {
  return readdirSync(room, { recursive: true, encoding: 'utf8' })
    .map((name) => slashed(join(room, name)))
    .filter((path) => path.endsWith('.ts') && !/\/(?:dist|node_modules)\//.test(path))
}

function slashed(path: string): string {
  return relative('.', path).split(sep).join('/')
}

function main(): void {
  if (!existsSync(REPORT)) throw new Error(`${REPORT} is missing: run npm run coverage`)
  const read = JSON.parse(readFileSync(REPORT, 'utf8')) as Record<string, Covered>
  const summary = Object.fromEntries(Object.entries(read).map(([path, row]) => [slashed(path), row]))
  const files = ROOMS.flatMap(sourcesOf)
  const found = complaints(summary, files)
  for (const line of found) console.error(line)
  console.log(
    `${ROOMS.join(' and ')}: ${files.length - found.length} of ${files.length} files have every branch covered`,
  )
  if (found.length > 0) process.exitCode = 1
}

if (import.meta.url === pathToFileURL(resolve(process.argv[1] ?? '')).href) main()
