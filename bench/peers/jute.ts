/**
 * ZooKeeper's wire format (jute), as far as ephemeral nodes need it: frames of a length and big-endian fields. One
 * session, requests in flight numbered by xid; the server answers each session in order.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const OP = { create: 1, remove: 2, ping: 11 }
const PING_XID = -2
const EPHEMERAL = 1
const ANY_VERSION = -1
const ALL_PERMISSIONS = 31
const SESSION_MS = 30_000
const PING_EVERY_MS = 5_000
const FRAME_BYTES_MAX = 1 << 20

class Writer {
  #bytes: Buffer
  #at = 4
  constructor(bytesMax: number) {
    this.#bytes = Buffer.alloc(bytesMax + 4)
  }
  int(value: number): this {
    this.#at = this.#bytes.writeInt32BE(value, this.#at)
    return this
  }
  long(value: bigint): this {
    this.#at = this.#bytes.writeBigInt64BE(value, this.#at)
    return this
  }
  bytes(value: Uint8Array): this {
    this.int(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
    return this
  }
  text(value: string): this {
    return this.bytes(Buffer.from(value))
  }
  frame(): Buffer {
    this.#bytes.writeInt32BE(this.#at - 4, 0)
    return this.#bytes.subarray(0, this.#at)
  }
}

/** Zero: done. Else the server's error, or 1 where the connection is gone. */
export type Answer = (error: number) => void

export class ZooSession {
  readonly #socket: Socket
  #rest: Buffer = Buffer.alloc(0)
  #xid = 1
  #waiting = new Map<number, Answer>()
  #gathered: Buffer[] = []
  #greeted: () => void = () => {}
  #open = false
  readonly #pings: NodeJS.Timeout

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#lost())
    this.#pings = setInterval(() => this.#write(new Writer(8).int(PING_XID).int(OP.ping).frame()), PING_EVERY_MS)
  }

  /** Rejects when the server closes before it has greeted: it serves nobody yet. */
  static async open(port: number): Promise<ZooSession> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const session = new ZooSession(socket)
    const greeted = new Promise<void>((resolve, reject) => {
      session.#greeted = resolve
      socket.once('close', () => reject(new Error('closed before the greeting')))
    })
    socket.write(new Writer(64).int(0).long(0n).int(SESSION_MS).long(0n).bytes(new Uint8Array(16)).frame())
    await greeted
    return session
  }

  createEphemeral(path: string, answer: Answer): void {
    const writer = this.#request(OP.create, path.length + 64, answer)
    writer.text(path).text('x').int(1).int(ALL_PERMISSIONS).text('world').text('anyone').int(EPHEMERAL)
    this.#write(writer.frame())
  }

  remove(path: string, answer: Answer): void {
    this.#write(
      this.#request(OP.remove, path.length + 32, answer)
        .text(path)
        .int(ANY_VERSION)
        .frame(),
    )
  }

  #request(op: number, bytesMax: number, answer: Answer): Writer {
    const xid = this.#xid++
    this.#waiting.set(xid, answer)
    return new Writer(bytesMax).int(xid).int(op)
  }

  /** All of one turn travel together. */
  #write(frame: Buffer): void {
    this.#gathered.push(frame)
    if (this.#gathered.length > 1) return
    queueMicrotask(() => {
      this.#socket.write(Buffer.concat(this.#gathered))
      this.#gathered = []
    })
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= 4) {
      const end = 4 + bytes.readInt32BE(0)
      if (end < 4 || end > FRAME_BYTES_MAX) {
        this.#socket.destroy()
        return
      }
      if (bytes.length < end) break
      if (this.#open) this.#reply(bytes.readInt32BE(4), bytes.readInt32BE(16))
      else this.#greeted()
      this.#open = true
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
  }

  #reply(xid: number, error: number): void {
    const answer = this.#waiting.get(xid)
    this.#waiting.delete(xid)
    answer?.(error)
  }

  #lost(): void {
    clearInterval(this.#pings)
    for (const answer of this.#waiting.values()) answer(1)
    this.#waiting.clear()
  }

  close(): void {
    this.#socket.destroy()
  }
}
