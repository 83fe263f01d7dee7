/** docs/cli.md shows the help of every command as it is. */
import { readFileSync } from 'node:fs'
import { commands, helpOf, overview } from '@leasehold/server/cli'
import t from 'tap'

const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')

t.test('docs/cli.md shows every help text word for word', async (t) => {
  t.ok(page.includes(`\`\`\`text\n${overview(commands)}\`\`\``), 'the overview')
  for (const command of commands) t.ok(page.includes(`\`\`\`text\n${helpOf(command)}\`\`\``), command.name)
})

t.test('every variable that a command reads is named there', async (t) => {
  for (const command of commands) {
    for (const { env } of Object.values(command.flags)) if (env !== undefined) t.ok(page.includes(env), env)
  }
})
