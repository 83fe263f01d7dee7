/** Whatever starts a server in this project tells Node the same. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_FLAGS } from '@leasehold/server/cli'
import t from 'tap'
import { parseDockerfile } from './dockerfile.js'

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', '..', name), 'utf8')

t.test('npm start', async (t) => {
  const { start } = (JSON.parse(read('package.json')) as { scripts: { start: string } }).scripts
  t.equal(start, `exec node ${NODE_FLAGS.join(' ')} server/dist/cli/main.js serve`)
})

t.test('the container', async (t) => {
  const entrypoint = parseDockerfile(read('Dockerfile')).find(({ name }) => name === 'ENTRYPOINT')
  const [node, ...words] = JSON.parse(entrypoint?.rest ?? '[]') as string[]
  t.equal(node, 'node')
  t.same(words.slice(0, -1), NODE_FLAGS)
})

t.test('what operators are told', async (t) => {
  t.match(read('docs/operations.md'), `\`${NODE_FLAGS.join(' ')}\``)
})
