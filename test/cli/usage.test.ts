import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command, settle, UsageError } from '@leasehold/server/cli'
import t from 'tap'
import { leasehold } from './process.js'

const sample = command({
  name: 'sample',
  summary: 'a command for tests',
  operands: [{ name: 'NAME', format: 'name', optional: true }],
  configurable: true,
  flags: {
    listen: { type: 'string', format: 'address', env: 'LEASEHOLD_LISTEN', default: '127.0.0.1:7420', help: 'where' },
    keep: { type: 'string', format: 'duration', env: 'LEASEHOLD_KEEP', default: '7h', help: 'how long' },
    count: { type: 'integer', min: -5, max: 5, env: 'LEASEHOLD_COUNT', default: 1, help: 'how many' },
    level: { type: 'string', choices: ['info', 'debug'], env: 'LEASEHOLD_LEVEL', default: 'info', help: 'how loud' },
    insecure: { type: 'boolean', env: 'LEASEHOLD_INSECURE', help: 'whether' },
    config: { type: 'string', env: 'LEASEHOLD_CONFIG', help: 'a file' },
  },
  run: async () => 0,
})

function problems(argv: string[], env: Record<string, string> = {}, of = sample): readonly string[] {
  try {
    settle(of, argv, env)
    return []
  } catch (error) {
    if (error instanceof UsageError) return error.problems
    throw error
  }
}

t.test('a flag goes over the environment, that over the file, that over the default', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'leasehold-config-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'c.json')
  writeFileSync(file, JSON.stringify({ keep: '1h', count: 2, level: 'debug' }))
  const env = { LEASEHOLD_CONFIG: file, LEASEHOLD_COUNT: '3', LEASEHOLD_KEEP: '2h' }
  const { settings } = settle(sample, ['--keep', '3h', '--insecure'], env)
  t.same(settings, { listen: '127.0.0.1:7420', keep: '3h', count: 3, level: 'debug', insecure: true, config: file })

  writeFileSync(file, JSON.stringify({ keeep: '1h', count: 'many', insecure: 'perhaps', config: 'x' }))
  t.same(problems(['--config', file]), [
    `"keeep" in ${file}: there is no such key`,
    `"config" in ${file}: there is no such key`,
    `"count" in ${file} expects a whole number from -5 to 5, got "many"`,
    `"insecure" in ${file} expects true or false, got "perhaps"`,
  ])
  writeFileSync(file, '[1]')
  t.same(problems(['--config', file]), [`--config ${file}: expects one JSON object`])
  writeFileSync(file, '{"a":')
  t.match(problems(['--config', file])[0], /^--config .*JSON/)
  t.match(problems(['--config', join(directory, 'none')])[0], /ENOENT/)
})

t.test('everything wrong is named at once, whatever its source, overridden values too', async (t) => {
  const env = { LEASEHOLD_LISTEN: '1.2.3:x', LEASEHOLD_COUNT: '1.5', LEASEHOLD_INSECURE: 'maybe', LEASEHOLD_DTAA: 'x' }
  const line = ['--listen', '[::1]:1', '--level', 'loud', '--nope', '--count', '9', '--keep', '--config', 'a b', 'c']
  t.same(problems(line, env), [
    '--nope: there is no such flag',
    '--keep: needs a value (VALUE)',
    'NAME "a b": it may only have A-Z a-z 0-9 . _ : @ / -, not " " (U+0020) at 1',
    '"c": one operand too many',
    'LEASEHOLD_DTAA: there is no such environment variable',
    'LEASEHOLD_LISTEN expects HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420, got "1.2.3:x"',
    'LEASEHOLD_COUNT expects a whole number from -5 to 5, got "1.5"',
    'LEASEHOLD_INSECURE expects true or false, got "maybe"',
    '--level expects one of info, debug, got "loud"',
    '--count expects a whole number from -5 to 5, got "9"',
  ])
  t.match(problems(['--keep', '-1'])[0], /^--keep "-1": it must be milliseconds or a duration/)
})

t.test('a flag that may be given more than once has all that was given, in order', async (t) => {
  const many = command({
    name: 'many',
    summary: 'a command for tests',
    operands: [],
    flags: { rate: { type: 'string', many: true, format: 'duration', value: 'TIME', help: 'how often' } },
    run: async () => 0,
  })
  t.same(settle(many, ['--rate', '1s', '--rate=2s', '--rate', '1s'], {}).settings, { rate: ['1s', '2s', '1s'] })
  t.same(settle(many, [], {}).settings, { rate: [] }, 'none, and not absent')
  t.match(problems(['--rate', '1s', '--rate', 'soon', '--rate', 'x'], {}, many), [/^--rate "soon": it must be/])
  t.same(problems(['--rate', '1s', '--rate', ''], {}, many), ['--rate must not be empty'])
  t.same(problems(['--rate', '1s', '--rate'], {}, many), ['--rate: needs a value (TIME)'])
})

t.test('odd spellings', async (t) => {
  t.equal(settle(sample, ['--count', '-5'], {}).settings.count, -5, 'a negative number is a value')
  t.equal(settle(sample, ['--keep=5000'], {}).settings.keep, '5000', 'a bare number is milliseconds')
  t.equal(settle(sample, [], { LEASEHOLD_LISTEN: '' }).settings.listen, '127.0.0.1:7420', 'empty counts as absent')
  t.equal(settle(sample, [], { LEASEHOLD_INSECURE: '1' }).settings.insecure, true)
  t.same(problems(['--insecure=1', '-x', '--', 'ls']), [
    '--insecure: takes no value',
    '-x: there is no such flag',
    '-- ls: this command takes nothing after --',
  ])
  t.same(problems(['--listen', '']), ['--listen must not be empty'])
  for (const listen of ['1.2.3.4', ':80', '1.2.3.4:65536', '[1.2.3.4]:1', 'fe80::1:80', '999.1.1.1:80', 'a b:1']) {
    t.equal(problems(['--listen', listen]).length, 1, listen)
  }
  for (const listen of ['0.0.0.0:0', 'localhost:65535', '[fe80::1]:80', 'host-1.example:1']) {
    t.same(problems(['--listen', listen]), [], listen)
  }
  const links = {
    LEASEHOLD_SERVICE_HOST: '10.0.0.1',
    LEASEHOLD_PORT: 'tcp://10.0.0.1:7420',
    LEASEHOLD_PORT_7420_TCP: 'x',
  }
  t.same(problems([], links), [], "a Kubernetes service's own variables are left alone")
})

t.test('the command line says what is wrong and exits 2', async (t) => {
  const bare = await leasehold([])
  t.equal(bare.code, 2)
  t.match(bare.err, /usage: leasehold COMMAND/)
  const unknown = await leasehold(['lease', 'steal'])
  t.equal(unknown.code, 2)
  t.match(unknown.err, /there is no command "lease steal"/)
  const wrong = await leasehold(['lease', 'renew', 'a//b', '--token', '0', '--url', 'ftp://x'])
  t.equal(wrong.code, 2)
  t.equal(wrong.out, '')
  t.match(wrong.err, /NAME "a\/\/b"/)
  t.match(wrong.err, /--token expects a fencing token/)
  t.match(wrong.err, /--url expects a URL/)
  t.match((await leasehold(['lease', 'renew', 'a'])).err, /--token: is missing/)
})

t.test('help exits 0', async (t) => {
  for (const args of [['help'], ['--help'], ['help', 'lease'], ['lease', 'acquire', 'x', '--help'], ['--version']]) {
    const { code, out, err } = await leasehold(args)
    t.equal(code, 0, args.join(' '))
    t.not(out, '')
    t.equal(err, '')
  }
})
