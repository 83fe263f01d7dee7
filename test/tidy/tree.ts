/** The files of the repository that people wrote: no outputs, no packages, no data. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.tap', 'data', 'results', 'package-lock.json'])
const READ = /\.(?:ts|mts|mjs|json|md|yaml|yml|html|css)$|(?:^|\/)(?:Dockerfile|\.dockerignore|run)$/

/** Where the repository stands: compiled tests live in test/dist/<room>/. */
export const root = join(import.meta.dirname, '..', '..', '..')

/** Path (relative, forward slashes) and text of every file. */
export function readTree(): Map<string, string> {
  const files = new Map<string, string>()
  const walk = (directory: string) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (LEFT_OUT.has(entry.name)) continue
      const full = join(directory, entry.name)
      const path = relative(root, full).split(sep).join('/')
      if (entry.isDirectory()) walk(full)
      else if (READ.test(path)) files.set(path, readFileSync(full, 'utf8'))
    }
  }
  walk(root)
  return files
}
