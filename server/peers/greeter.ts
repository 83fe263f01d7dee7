/**
 * Reads the one greeting that a fresh connection begins with: bounded in bytes and in time, whoever sends it and however slowly.
 */
import type { Socket } from 'node:net'
import type { Clock } from '../ports/index.js'
import { decodeGreeting, type Greeting, GreetingError, greetingBytes } from './greeting.js'

export interface Greeted {
  readonly greeting: Greeting
  /** What came behind it; to be handed on within the call, since the socket flows. */
  readonly rest: Uint8Array
}

/**
 * Calls `done` once: with the greeting, or with why there is none (the socket is then destroyed). Returns a function that
 * gives up without a call. The socket must not have been read before.
 */
export function readGreeting(
  socket: Socket,
  clock: Clock,
  withinMs: number,
  done: (outcome: Greeted | Error) => void,
): () => void {
  let pieces: Buffer[] = []
  let held = 0
  /** Bytes of the greeting, once they are known. Nothing is put together before it can be whole. */
  let wanted: number | null = null
  const stop = (): void => {
    disarm()
    socket.off('data', data).off('end', ended).off('error', fail).off('close', ended)
    // An error may still come, and without a listener it would end the process.
    socket.on('error', () => {})
  }
  const fail = (error: Error): void => {
    stop()
    socket.destroy()
    done(error)
  }
  const ended = (): void => fail(new GreetingError('closed the connection before its greeting'))
  const data = (chunk: Buffer): void => {
    pieces.push(chunk)
    held += chunk.length
    if (wanted !== null && held < wanted) return
    let greeted: Greeted
    try {
      const bytes = Buffer.concat(pieces, held)
      pieces = [bytes]
      wanted = greetingBytes(bytes)
      if (wanted === null || held < wanted) return
      greeted = { greeting: decodeGreeting(bytes.subarray(0, wanted)), rest: bytes.subarray(wanted) }
    } catch (error) {
      fail(error as Error)
      return
    }
    stop()
    done(greeted)
  }
  const disarm = clock.after(withinMs, () => fail(new GreetingError(`did not greet within ${withinMs} ms`)))
  socket.on('data', data).on('end', ended).on('error', fail).on('close', ended)
  return stop
}
