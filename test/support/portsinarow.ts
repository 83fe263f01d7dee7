/** Free ports for programs that take several in a row. Somebody else may still take one before they do: hold none for long. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'

const TRIES = 20

/** The first of `count` free ones in a row. Throws where there are none. */
export async function portsInARow(count: number): Promise<number> {
  for (let tried = 0; tried < TRIES; tried++) {
    const servers: Server[] = []
    try {
      let first = 0
      for (let at = 0; at < count; at++) {
        const server = createServer((stranger) => stranger.destroy()).listen(at === 0 ? 0 : first + at, '127.0.0.1')
        servers.push(server)
        await once(server, 'listening')
        if (at === 0) first = (server.address() as AddressInfo).port
      }
      return first
    } catch {
      // One of them is taken, or there is none of that number: elsewhere, then.
    } finally {
      await Promise.all(servers.filter(({ listening }) => listening).map((server) => once(server.close(), 'close')))
    }
  }
  throw new Error('there are no free ports in a row')
}
