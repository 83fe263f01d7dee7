/**
 * Scenes from the literature, and from what went wrong in other implementations, each as a transcript that people can read.
 * `RAFT_SCENARIOS=write` writes down how they go now: to be read, line by line, before it is believed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { play } from './script.js'

const folder = join(import.meta.dirname, '..', '..', '..', 'test', 'raft', 'scenarios')
const files = readdirSync(folder).sort()

t.test('there are scenes, and none is empty', async (t) => {
  t.ok(files.length >= 25, `${files.length} scenes`)
  for (const file of files) {
    const lines = readFileSync(join(folder, file), 'utf8').split('\n')
    t.match(lines[0], /^# /, `${file} says what it shows`)
    t.ok(lines.filter((line) => /^[^#>]/.test(line)).length >= 2, `${file} expects something`)
  }
})

for (const file of files) {
  const path = join(folder, file)
  const script = readFileSync(path, 'utf8')
  t.test(`${file.replace('.txt', '').replaceAll('-', ' ')}: ${script.split('\n')[0]!.slice(2)}`, async (t) => {
    const played = play(script)
    if (process.env.RAFT_SCENARIOS === 'write') writeFileSync(path, played)
    t.equal(played, script)
    t.notMatch(played, /^!/m, 'no command was in vain')
  })
}
