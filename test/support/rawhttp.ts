/** HTTP as bytes on a socket: for what no client library would send. */
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 where nothing came that begins like an answer. */
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends the bytes, waits until the server closes (or `untilMs`), and returns what came. */
export function exchange(port: number, bytes: string | Buffer, untilMs = 10_000): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    const timer = setTimeout(() => socket.destroy(), untilMs)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      const text = Buffer.concat(chunks).toString('utf8')
      const split = text.indexOf('\r\n\r\n')
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
      resolve({ status, head: text.slice(0, split), body: split === -1 ? '' : text.slice(split + 4) })
    })
    socket.write(bytes)
  })
}

/** A request that closes its connection. */
export function request(method: string, path: string, body?: string | Buffer, headers: readonly string[] = []): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: here', 'Connection: close', ...headers]
  if (body !== undefined) {
    if (!headers.some((line) => /^content-type/i.test(line))) lines.push('Content-Type: application/json')
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body ?? '')])
}
