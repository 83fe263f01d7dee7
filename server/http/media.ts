/**
 * Content negotiation, both ways: JSON or MessagePack in, JSON or MessagePack out. Must never execute a request whose
 * answer its sender says it cannot read.
 */
import { ProtocolError } from '@leasehold/protocol'
import { decode, encode } from '@msgpack/msgpack'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { parseJson } from './json.js'
import { HTTP_LIMITS } from './limits.js'

export type Medium = 'json' | 'msgpack'

const RANGES: Readonly<Record<Medium, readonly string[]>> = {
  json: ['application/json', 'application/problem+json', 'application/*', '*/*'],
  msgpack: ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack', 'application/*', '*/*'],
}

/** The medium that the Accept header likes best (JSON where it does not care), or null where it takes neither. */
export function acceptedMedium(accept: string | undefined): Medium | null {
  if (accept === undefined || accept.trim() === '') return 'json'
  if (accept.length > HTTP_LIMITS.acceptBytesMax) return null
  const liking = new Map<string, number>()
  for (const part of accept.split(',')) {
    const [range, ...parameters] = part.split(';').map((s) => s.trim().toLowerCase())
    const weight = parameters.find((s) => s.startsWith('q='))
    const q = weight === undefined ? 1 : Number(weight.slice(2))
    if (range !== undefined && q >= 0 && q <= 1) liking.set(range, Math.max(q, liking.get(range) ?? 0))
  }
  const json = likingOf('json', liking)
  const msgpack = likingOf('msgpack', liking)
  if (json === 0 && msgpack === 0) return null
  return msgpack > json ? 'msgpack' : 'json'
}

/** The most specific range that matches decides. */
function likingOf(medium: Medium, liking: ReadonlyMap<string, number>): number {
  for (const range of RANGES[medium]) {
    const q = liking.get(range)
    if (q !== undefined) return q
  }
  return 0
}

/** Registers the two body parsers, and no other. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    parsed(() => parseJson(body as Buffer, HTTP_LIMITS.bodyDepthMax), done)
  })
  for (const type of ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack'])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => {
      parsed(() => parseMsgpack(body as Buffer), done)
    })
}

function parsed(parse: () => unknown, done: (error: Error | null, body?: unknown) => void): void {
  let body: unknown
  try {
    body = parse()
  } catch (error) {
    done(error as Error)
    return
  }
  done(null, body)
}

function parseMsgpack(bytes: Buffer): unknown {
  let body: unknown
  try {
    body = decode(bytes)
  } catch {
    throw new ProtocolError('INVALID_ARGUMENT', 'body: is not MessagePack')
  }
  // The decoder keeps the last of two equal keys: only the map's own count shows that there were two.
  if (isMap(body) && mapSize(bytes) !== Object.keys(body).length)
    throw new ProtocolError('INVALID_ARGUMENT', 'body: has a key twice')
  return body
}

const isMap = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

/** The count in the head of a MessagePack map; -1 for anything else. */
function mapSize(bytes: Buffer): number {
  const head = bytes[0] ?? 0
  if ((head & 0xf0) === 0x80) return head & 0x0f
  if (head === 0xde) return bytes.readUInt16BE(1)
  if (head === 0xdf) return bytes.readUInt32BE(1)
  return -1
}

/** Sends a body in the medium that its reader asked for. */
export function sendBody(reply: FastifyReply, medium: Medium, status: number, body: object, isProblem = false): void {
  reply.code(status)
  if (medium === 'msgpack') {
    const bytes = encode(body)
    reply.type('application/msgpack').send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } else reply.type(isProblem ? 'application/problem+json' : 'application/json').send(JSON.stringify(body))
}
