/**
 * Redis with a token bucket in Lua: one server from Debian's redis-server, appendonly with a sync every second (a crash forgets up to a
 * second of decisions). Driven over its own protocol, pipelined: what is asked for in one turn of the loop travels together.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Done, Unit } from '../driver.js'
import { freePorts } from '../ports.js'
import { Program, untilReady } from './program.js'

const REDIS = '/usr/bin/redis-server'
const CRLF = '\r\n'

/** Tokens and the time of the last refill in a hash; times by the server's clock, in microseconds. Answers 1 or 0. */
const BUCKET = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = tonumber(kept[1]) or burst
local at = tonumber(kept[2]) or now
level = math.min(burst, level + (now - at) * rate / 1000000)
local admitted = level >= cost and 1 or 0
if admitted == 1 then level = level - cost end
redis.call('HSET', KEYS[1], 'level', level, 'at', now)
return admitted`

/** One connection. Answers are lines: whole numbers, simple texts, or one bulk text. */
class Connection {
  readonly #socket: Socket
  readonly #pending: ((answer: string) => void)[] = []
  #taken = 0
  #out = ''
  #text = ''
  readonly #flush = () => {
    this.#socket.write(this.#out)
    this.#out = ''
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#received(text))
    socket.on('error', () => socket.destroy())
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Connection(socket)))
      socket.once('error', reject)
    })
  }

  ask(words: readonly string[], answer: (text: string) => void): void {
    this.#pending.push(answer)
    if (this.#out === '') queueMicrotask(this.#flush)
    let command = `*${words.length}${CRLF}`
    for (const word of words) command += `$${Buffer.byteLength(word)}${CRLF}${word}${CRLF}`
    this.#out += command
  }

  #received(text: string): void {
    this.#text += text
    let from = 0
    for (let at = this.#text.indexOf(CRLF, from); at >= 0; at = this.#text.indexOf(CRLF, from)) {
      const line = this.#text.slice(from, at)
      from = at + 2
      // The length of the bulk text that follows.
      if (line.startsWith('$')) continue
      this.#pending[this.#taken++]!(line.startsWith(':') || line.startsWith('+') ? line.slice(1) : line)
    }
    this.#text = this.#text.slice(from)
    if (this.#taken < 4_096) return
    this.#pending.splice(0, this.#taken)
    this.#taken = 0
  }

  close(): void {
    this.#socket.destroy()
  }
}

export class RedisBuckets {
  readonly #program: Program
  readonly #folder: string
  readonly #connections: readonly Connection[]
  readonly #script: string

  private constructor(program: Program, folder: string, connections: readonly Connection[], script: string) {
    this.#program = program
    this.#folder = folder
    this.#connections = connections
    this.#script = script
  }

  static missing(): string | null {
    return existsSync(REDIS) ? null : 'Redis is not installed (Debian: redis-server)'
  }

  static async start(parent: string, count: number): Promise<RedisBuckets> {
    const folder = await mkdtemp(join(parent, 'redis-'))
    const [port] = (await freePorts(1)) as [number]
    const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
    const program = new Program(REDIS, [...flags, '--appendonly', 'yes', '--appendfsync', 'everysec'], folder)
    const connections: Connection[] = []
    try {
      await untilReady([program], async () => {
        while (connections.length < count) connections.push(await Connection.open(port))
        return true
      })
      const script = await new Promise<string>((resolve) => connections[0]!.ask(['SCRIPT', 'LOAD', BUCKET], resolve))
      return new RedisBuckets(program, folder, connections, script)
    } catch (error) {
      for (const connection of connections) connection.close()
      await program.close()
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Units of one decision each, on the buckets of these keys in turn. */
  takes(key: (turn: number) => string, ratePerS: number, burst: number): Unit {
    let turn = 0
    const [rate, full] = [String(ratePerS), String(burst)]
    return (slot: number, done: Done) => {
      const words = ['EVALSHA', this.#script, '1', key(turn++), rate, full, '1']
      this.#connections[slot % this.#connections.length]!.ask(words, (text) => done(text === '1' || text === '0'))
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close()
    await this.#program.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
