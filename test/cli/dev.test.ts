import { join } from 'node:path'
import t from 'tap'
import { freePorts } from '#bench/ports.js'
import { leasehold, scratch, startLeasehold } from './process.js'

t.setTimeout(120_000)

/** Of as many as three members take. */
const firstPort = async () => (await freePorts(6))[0]!

t.test('dev runs a cluster of three; a member that dies is not restarted; Ctrl-C ends all', async (t) => {
  const data = join(scratch(t), 'dev')
  const port = await firstPort()
  const dev = startLeasehold(['dev', '--data', data, '--port', String(port)])
  t.teardown(() => dev.child.kill('SIGKILL'))
  await dev.said('all members serve')
  t.match(dev.out(), /^n1 \| .* info {2}serving {2}url=http/m, 'each log line begins with its member')
  t.match(dev.out(), /^n3 \| /m)
  const [, pid] = /n2 serves, as process (\d+)/.exec(dev.err())!
  process.kill(Number(pid), 'SIGKILL')
  const [, again] = await dev.said(/n2 ended by SIGKILL\n.*start it again with: leasehold (serve .*)\n/)
  const granted = await leasehold(['lease', 'acquire', 'a', '--url', `http://127.0.0.1:${port}`])
  t.equal(granted.code, 0, granted.err)
  const second = startLeasehold(again!.split(' '))
  t.teardown(() => second.child.kill('SIGKILL'))
  await second.said('"event":"serving"')

  dev.child.kill('SIGINT')
  t.equal((await dev.done).code, 0)
  t.equal(second.child.exitCode, null, 'what dev did not start, it does not end')
  const status = await leasehold(['status', '--url', `http://127.0.0.1:${port}`])
  t.equal(status.code, 3, 'nobody listens any more')
})

t.test('the members of a dev that was killed end, too', async (t) => {
  const dev = startLeasehold([
    'dev',
    '--data',
    join(scratch(t), 'dev'),
    '--port',
    String(await firstPort()),
    '--members',
    '1',
  ])
  const [, pid] = await dev.said(/n1 serves, as process (\d+)/)
  dev.child.kill('SIGKILL')
  await dev.done
  const lives = () => {
    try {
      return process.kill(Number(pid), 0)
    } catch {
      return false
    }
  }
  while (lives()) await new Promise((resolve) => setTimeout(resolve, 50))
  t.pass('it is gone')
})

t.test('a member that cannot start ends dev, and says why', async (t) => {
  const data = join(scratch(t), 'dev')
  const port = await firstPort()
  const first = startLeasehold(['dev', '--data', data, '--port', String(port), '--members', '1'])
  t.teardown(() => first.child.kill('SIGKILL'))
  await first.said('all members serve')
  const second = await leasehold(['dev', '--data', `${data}2`, '--port', String(port), '--members', '1'])
  t.equal(second.code, 1)
  t.match(second.out, /^n1 \| leasehold: 127\.0\.0\.1:\d+ is in use/m)
  t.match(second.err, /not all members could start/)
})
