/**
 * As much of gRPC as a load driver needs, over Node's own HTTP/2: calls with one message each way, and one stream of
 * messages both ways. No retries, no deadlines: whatever fails is reported as such.
 */
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'

const HEAD_BYTES = 5
const MESSAGE_BYTES_MAX = 1 << 20

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEAD_BYTES + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, HEAD_BYTES)
  return frame
}

/** Cuts what comes in into messages. */
class Frames {
  #rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = []
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + bytes.readUInt32BE(1)
      if (end > MESSAGE_BYTES_MAX) throw new Error('a message is too long')
      if (bytes.length < end) break
      messages.push(bytes.subarray(HEAD_BYTES, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
    return messages
  }
}

export class Grpc {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
    session.on('error', () => session.destroy())
  }

  static async open(url: string): Promise<Grpc> {
    const session = connect(url)
    try {
      await once(session, 'connect')
    } catch (error) {
      session.destroy()
      throw error
    }
    return new Grpc(session)
  }

  #stream(path: string): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
  }

  /** `answer` is called once: with the message, or null where it failed. */
  call(path: string, message: Uint8Array, answer: (reply: Buffer | null) => void): void {
    const stream = this.#stream(path)
    const frames = new Frames()
    let reply: Buffer | null = null
    let status = ''
    stream.on('data', (chunk: Buffer) => {
      for (const one of frames.take(chunk)) reply = one
    })
    stream.on('response', (headers) => {
      status = String(headers['grpc-status'] ?? status)
    })
    stream.on('trailers', (headers) => {
      status = String(headers['grpc-status'] ?? status)
    })
    stream.on('error', () => {})
    stream.on('close', () => answer(status === '0' ? reply : null))
    stream.end(framed(message))
  }

  /** Sends messages with the returned function; `received` gets each that comes back. */
  stream(path: string, received: (message: Buffer) => void): (message: Uint8Array) => void {
    const stream = this.#stream(path)
    const frames = new Frames()
    stream.on('data', (chunk: Buffer) => {
      for (const one of frames.take(chunk)) received(one)
    })
    stream.on('error', () => {})
    let gathered: Buffer[] = []
    return (message) => {
      gathered.push(framed(message))
      if (gathered.length > 1) return
      queueMicrotask(() => {
        stream.write(Buffer.concat(gathered))
        gathered = []
      })
    }
  }

  close(): void {
    this.#session.destroy()
  }
}
