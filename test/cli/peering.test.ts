import { commands, settle, UsageError } from '@leasehold/server/cli'
import t from 'tap'

const serve = commands.find(({ name }) => name === 'serve')!
const dev = commands.find(({ name }) => name === 'dev')!
const THREE = 'n1=127.0.0.1:7421,n2=127.0.0.1:7423,n3=[::1]:7425'

function problems(argv: string[], env: Record<string, string> = {}, command = serve): readonly string[] {
  try {
    settle(command, argv, env)
    return []
  } catch (error) {
    if (error instanceof UsageError) return error.problems
    throw error
  }
}

t.test('a list of members is NAME=HOST:PORT, each name and each address once', async (t) => {
  t.same(problems(['--cluster', THREE]), [])
  const bad: [string, RegExp][] = [
    ['n1', /expects NAME=HOST:PORT.*got "n1"/],
    ['=127.0.0.1:1', /expects NAME=HOST:PORT/],
    ['n1=127.0.0.1:7421,', /expects NAME=HOST:PORT.*got ""/],
    ['n1=nowhere', /expects HOST:PORT/],
    ['n1@d=127.0.0.1:7421', /must not have an '@'/],
    ['n1=127.0.0.1:0', /needs a port other than 0 for n1/],
    ['n1=127.0.0.1:7421,n1=127.0.0.1:7423', /lists n1 twice/],
    ['n1=127.0.0.1:7421,n2=127.0.0.1:7421', /lists 127\.0\.0\.1:7421 twice/],
    [Array.from({ length: 10 }, (_, at) => `n${at}=127.0.0.1:${7000 + at}`).join(), /lists 10 members; at most 9 vote/],
  ]
  for (const [list, sentence] of bad) t.match(problems(['--cluster', list])[0], sentence, list)
})

t.test('all that does not go together is named at once', async (t) => {
  const found = problems([
    '--name',
    'n4',
    '--cluster',
    THREE,
    '--listen',
    '0.0.0.0:7420',
    '--peer-listen',
    '10.0.0.1:7421',
  ])
  t.match(found, [
    /--cluster lists n1, n2, n3, but not this member, n4/,
    /--listen 0\.0\.0\.0:7420 can be reached from other machines.*--insecure/,
    /--peer-listen 10\.0\.0\.1:7421 can be reached from other machines.*--insecure/,
  ])
  t.equal(found.length, 3)
  const wrong = problems(['--name', 'n1@d', '--cluster', 'n1', '--peer-listen', 'here', '--advertise', 'there'])
  t.same(wrong.map((sentence) => sentence.split(' ')[0]).sort(), [
    '--advertise',
    '--cluster',
    '--name',
    '--peer-listen',
  ])
})

t.test('the loopback rule holds for the address that the list gives, too', async (t) => {
  const list = 'n1=10.0.0.1:7421,n2=10.0.0.2:7421'
  t.match(problems(['--cluster', list]), [/--peer-listen 10\.0\.0\.1:7421 can be reached/])
  t.same(problems(['--cluster', list, '--insecure']), [])
  t.same(problems(['--cluster', list, '--peer-listen', '127.0.0.1:7421']), [])
})

t.test('addresses of clients and members differ, and are known', async (t) => {
  t.match(problems(['--listen', '127.0.0.1:7421', '--peer-listen', '127.0.0.1:7421']), [/are both 127\.0\.0\.1:7421/])
  t.match(problems(['--peer-listen', '127.0.0.1:0']), [/port 0 needs --cluster/])
  t.same(problems(['--peer-listen', '127.0.0.1:7421']), [])
})

t.test('the environment says the same', async (t) => {
  t.same(problems([], { LEASEHOLD_NAME: 'n2', LEASEHOLD_CLUSTER: THREE, LEASEHOLD_PEER_LISTEN: '127.0.0.1:7423' }), [])
  t.match(problems([], { LEASEHOLD_CLUSTER: 'n1' }), [/LEASEHOLD_CLUSTER expects NAME=HOST:PORT/])
})

t.test('dev needs ports for all of its members', async (t) => {
  t.same(problems(['--port', '65530'], {}, dev), [])
  t.match(problems(['--port', '65531'], {}, dev), [/--port 65531: there are not enough ports/])
  t.match(problems(['--members', '6', '--port', '0'], {}, dev), [/--members expects/, /--port expects/])
})
