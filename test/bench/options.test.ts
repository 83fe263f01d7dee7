import t from 'tap'
import { parseOptions, UsageError } from '#bench/options.js'

const parse = (...argv: string[]) => parseOptions(argv, ['lease', 'renew'])
function problems(...argv: string[]): string {
  try {
    parse(...argv)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  return ''
}

t.test('a scenario alone takes the defaults', async (t) => {
  t.match(parse('lease'), {
    scenario: 'lease',
    seconds: 5,
    repeats: undefined,
    members: undefined,
    assert: false,
    shrink: 1,
  })
  t.match(parse('all', '--seconds', '2.5', '--repeats=1', '--json', 'x.json', '--members', '1', '--assert'), {
    scenario: 'all',
    seconds: 2.5,
    repeats: 1,
    members: 1,
    json: 'x.json',
    assert: true,
  })
  t.equal(parse('--help'), null)
})

t.test('everything that is wrong is named at once', async (t) => {
  t.match(problems(), /SCENARIO is missing/)
  const all = problems('leese', '--seconds', '0', '--repeats', '1.5', '--members', '2', '--verbose', '--json')
  for (const part of ['leese', '--seconds', '--repeats', 'expects 1 or 3', '--verbose', '--json: needs a value'])
    t.ok(all.includes(part), `${part}: ${all}`)
  t.match(problems('lease', 'renew'), /one scenario at a time/)
  t.match(problems('lease', '--seconds', '1e9'), /--seconds/)
  t.match(problems('lease', '--seconds', '-1'), /--seconds/)
})
