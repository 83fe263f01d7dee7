/** Before the tests: clears outputs of deleted tests, builds, and has tap forget its TypeScript loader (once an install). */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'

const run = (command, args) => execFileSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' })

rmSync('test/dist', { recursive: true, force: true })
run('npx', ['tsc', '-b'])
const built = 'node_modules/@tapjs/test/test-built/dist/esm/index.js'
if (!existsSync(built) || readFileSync(built, 'utf8').includes('@tapjs/typescript')) run('npx', ['tap', 'build'])
