/**
 * A thread that reads a range of a LevelDB which the process has open, and hands the rows over packed. Most of what reading a
 * million rows costs is the making of their objects: here it takes no time of the thread that serves. It never writes.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Level } from 'level'
import type { Value } from '../ports/index.js'
import { packRows } from '../storage/packed.js'
import { CHUNKS_AHEAD, failureOf, type Reading, type Wish, type Word } from './levelthread.js'

const port = parentPort!
let allowed = CHUNKS_AHEAD
let stopped = false
let wake = () => {}
port.on('message', (wish: Wish) => {
  if (wish === 'stop') stopped = true
  else allowed += 1
  wake()
})

const say = (word: Word, transferred: ArrayBuffer[] = []): void => port.postMessage(word, transferred)

/** Resolves with whether all rows were read. */
async function read({ path, gte, lt, chunkRows, chunkBytesMax }: Reading): Promise<boolean> {
  const database = new Level<string, Value>(path, { multithreading: true, createIfMissing: false })
  await database.open()
  try {
    const encodings = { keyEncoding: 'utf8', valueEncoding: 'view' } as const
    const range = { gte, lt, fillCache: false, highWaterMarkBytes: chunkBytesMax }
    const iterator = database.iterator<string, Value>({ ...encodings, ...range })
    let next = iterator.nextv(chunkRows)
    for (;;) {
      const found = await next
      if (found.length === 0) return true
      // While these are packed, and used, the next ones are read. Whoever stops never looks at them.
      next = iterator.nextv(chunkRows)
      next.catch(() => {})
      while (allowed === 0 && !stopped) await new Promise<void>((resolve) => (wake = resolve))
      if (stopped) return false
      allowed -= 1
      const rows = packRows(found)
      say({ rows }, [rows.bytes.buffer as ArrayBuffer, rows.ends.buffer as ArrayBuffer])
    }
  } finally {
    await database.close()
  }
}

read(workerData as Reading)
  .then(
    (all) => all && say({ end: true }),
    (error: unknown) => say({ failure: failureOf(error) }),
  )
  .finally(() => port.close())
