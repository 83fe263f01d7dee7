/**
 * Paths as they must be to mean one thing: no dot segments, no unclean percent-encoding, and for a path that is known,
 * which methods it has. Must never fold a path into another one.
 */
import { ProtocolError } from '@leasehold/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { HTTP_LIMITS } from './limits.js'

/** Throws ProtocolError INVALID_ARGUMENT or TOO_LARGE. */
export function checkUrl(url: string): void {
  if (url.length > HTTP_LIMITS.urlBytesMax)
    throw new ProtocolError('TOO_LARGE', `url: at most ${HTTP_LIMITS.urlBytesMax} bytes, not ${url.length}`)
  const path = pathOf(url)
  if (!path.startsWith('/')) throw new ProtocolError('INVALID_ARGUMENT', 'path: must begin with /')
  for (const segment of path.split('/')) {
    const decoded = decodeSegment(segment)
    if (decoded === '.' || decoded === '..')
      throw new ProtocolError('INVALID_ARGUMENT', `path: the segment ${JSON.stringify(segment)} is refused`)
  }
}

/** HTTP/1.1 wants to know the host. Throws ProtocolError INVALID_ARGUMENT. */
export function checkHost(request: FastifyRequest): void {
  if (request.raw.httpVersion === '1.1' && request.headers.host === undefined)
    throw new ProtocolError('INVALID_ARGUMENT', 'Host: the header is missing')
}

/** Without query, and without scheme and authority (the absolute form, which servers must take). */
function pathOf(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/^https?:\/\/[^/]*/i, '')
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new ProtocolError('INVALID_ARGUMENT', 'path: has bad percent-encoding')
  }
}

/** Remembers the routes, to tell a method that a path lacks from a path that is not there. */
export class RouteTable {
  readonly #routes: { readonly pattern: RegExp; readonly methods: Set<string> }[] = []

  /** Before the routes: it listens to their registration. */
  constructor(app: FastifyInstance) {
    const byUrl = new Map<string, Set<string>>()
    app.addHook('onRoute', ({ url, method }) => {
      let methods = byUrl.get(url)
      if (methods === undefined) {
        methods = new Set()
        byUrl.set(url, methods)
        const source = url.replaceAll('.', '\\.').replaceAll(/:[a-z]+/gi, '[^/]+')
        this.#routes.push({ pattern: new RegExp(`^${source}$`), methods })
      }
      for (const each of [method].flat()) methods.add(each)
    })
  }

  /** The methods of all routes that this URL belongs to; null where there are none. */
  methodsOf(url: string): string | null {
    const path = pathOf(url)
    const found = this.#routes.filter(({ pattern }) => pattern.test(path))
    const methods = new Set(found.flatMap((route) => [...route.methods]))
    return methods.size === 0 ? null : [...methods].sort().join(', ')
  }
}
