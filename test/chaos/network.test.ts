/** The network itself: what is cut is cut in silence, in the direction that was asked for, until it is healed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { memberAddress, memberSpace, Network, NetworkMaker, networkMissing } from '#bench/network.js'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

const PORT = 7_420
const why = networkMissing()

/** Answers each datagram's sender; prints what came. */
const LISTENER = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text) => console.log(String(text)))
socket.bind(${PORT}, () => console.log('bound'))`

const SENDER = `
const [address, text] = process.argv.slice(1)
const socket = require('node:dgram').createSocket('udp4')
socket.send(text, ${PORT}, address, () => socket.close())`

/** Runs Node where a member lives. */
function inSpace(space: string, code: string, ...args: string[]): ChildProcess {
  const [command, ...before] = WITHOUT_RUNNER
  const node = [...before, 'ip', 'netns', 'exec', space, process.execPath, '-e', code, ...args]
  return spawn(command, node, { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Listens where a member lives, and tells what it has heard. */
async function listen(t: Test, space: string): Promise<() => string[]> {
  const child = inSpace(space, LISTENER)
  t.teardown(async () => {
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  })
  let heard = ''
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (data) => {
      heard += data
      if (heard.includes('bound')) resolve()
    })
  })
  return () => heard.split('\n').filter((line) => line !== 'bound' && line !== '')
}

async function send(from: string, to: string, text: string): Promise<void> {
  await once(inSpace(from, SENDER, to, text), 'close')
}

t.test('what is cut is cut one way, until it is healed', { skip: why ?? false }, async (t) => {
  const maker = new NetworkMaker(2)
  t.teardown(() => maker.close())
  const network = new Network(process.pid)
  const [one, two] = [memberSpace(process.pid, 1), memberSpace(process.pid, 2)]
  const [atOne, atTwo] = [await listen(t, one), await listen(t, two)]
  /** Everybody says this to everybody; clients in the hub as well. */
  const say = async (text: string) => {
    await send(one, memberAddress(2), text)
    await send(two, memberAddress(1), text)
    await send(maker.hub, memberAddress(1), `hub ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await say('a')
  network.cutOneWay(1, 2)
  await say('b')
  network.cutOneWay(2, 1)
  await say('c')
  network.heal()
  await say('d')
  t.same(atTwo(), ['a', 'd'])
  t.same(atOne(), ['a', 'hub a', 'b', 'hub b', 'hub c', 'd', 'hub d'])
})

t.test('nothing of a network is left, not even what ran in it', { skip: why ?? false }, async (t) => {
  const maker = new NetworkMaker(1)
  const child = inSpace(memberSpace(process.pid, 1), 'setInterval(() => {}, 1000); console.log(1)')
  await once(child.stdout!, 'data')
  const closed = once(child, 'close')
  maker.close()
  maker.close()
  await closed
  const left = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  t.notOk(left.includes(`leasehold-${process.pid}-`))
})
