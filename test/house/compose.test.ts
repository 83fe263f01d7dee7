/** The compose file: what it tells each member is right, goes together, and leaves nothing reachable from elsewhere. */
import { readFileSync } from 'node:fs'
import { commands, settle } from '@leasehold/server/cli'
import t from 'tap'

const text = readFileSync(new URL('../../../compose.yaml', import.meta.url), 'utf8')
const serve = commands.find(({ name }) => name === 'serve')!
/** Services by name: their lines. Lists stand on one line each, as JSON. */
const services = new Map(
  [...text.matchAll(/^ {2}(n\d):\n((?: {4}.*\n)+)/gm)].map(([, name = '', lines = '']) => [name, lines]),
)
const list = (name: string, key: string): string[] =>
  JSON.parse(new RegExp(`^ {4}${key}: (\\[.*\\])$`, 'm').exec(services.get(name)!)![1]!) as string[]

t.test('three members are started with settings that are accepted, each as itself', async (t) => {
  t.same([...services.keys()], ['n1', 'n2', 'n3'])
  const lists = [...services.keys()].map((name) => {
    const { settings } = settle(serve, list(name, 'command').slice(1), {})
    t.same([settings.name, settings.data, settings.insecure], [name, '/data', true])
    return settings.cluster
  })
  t.equal(new Set(lists).size, 1, 'the same list for all')
  t.equal(lists[0], 'n1=n1:7421,n2=n2:7421,n3=n3:7421')
})

t.test('clients reach each member where it says, on this machine alone, and data outlives containers', async (t) => {
  for (const name of services.keys()) {
    const [port] = list(name, 'ports')
    const [host, outside, inside] = port!.split(':')
    const { settings } = settle(serve, list(name, 'command').slice(1), {})
    t.equal(settings.advertise, `http://${host}:${outside}`)
    t.same([host, inside], ['127.0.0.1', '7420'])
    t.same(list(name, 'volumes'), [`${name}:/data`])
    t.match(text, new RegExp(`^volumes:\\n(?: {2}n\\d:\\n)* {2}${name}:$`, 'm'))
  }
})
