/**
 * What a server process holds in memory once everything that is garbage is gone. Asked through node's inspector, which the process was
 * started with: it collects first. Resident memory cannot say this, since V8 lets its spaces grow as it likes.
 */
import { once } from 'node:events'
import WebSocket from 'ws'

/** For the command line of node. */
export const inspected = (port: number): string => `--inspect=127.0.0.1:${port}`

const HELD = 'JSON.stringify(process.memoryUsage())'

/** Bytes of the heap and of buffers, after a full collection. Rejects where nobody listens on that port. */
export async function heldBytes(port: number): Promise<number> {
  const list = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(list[0]!.webSocketDebuggerUrl)
  try {
    await once(socket, 'open')
    await ask(socket, 1, 'HeapProfiler.collectGarbage', {})
    const { result } = (await ask(socket, 2, 'Runtime.evaluate', { expression: HELD })) as { result: { value: string } }
    const { heapUsed, arrayBuffers } = JSON.parse(result.value) as NodeJS.MemoryUsage
    return heapUsed + arrayBuffers
  } finally {
    socket.terminate()
  }
}

async function ask(socket: WebSocket, id: number, method: string, params: object): Promise<unknown> {
  socket.send(JSON.stringify({ id, method, params }))
  for (;;) {
    const [data] = (await once(socket, 'message')) as [Buffer]
    const answer = JSON.parse(data.toString()) as { id?: number; result?: unknown; error?: { message: string } }
    if (answer.id !== id) continue
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`)
    return answer.result
  }
}
