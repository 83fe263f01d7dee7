/** Takes all rows under a prefix that is not the live one away, in bounded batches: what a snapshot replaced, or one that was given up left. */
import type { Key, Value, Volume } from '../ports/index.js'

/** The two prefixes that take turns. */
export function otherLive(live: number): number {
  return live === 1 ? 2 : 1
}

const CHUNK_ROWS = 512

/** Stops early once `stopped` says so: whoever comes next begins anew. */
export async function clearPrefix(volume: Volume, prefix: number, stopped: () => boolean = () => false): Promise<void> {
  const range = { from: Uint8Array.of(prefix), to: Uint8Array.of(prefix + 1), chunkRows: CHUNK_ROWS }
  for await (const chunk of readable(volume.scan(range))) {
    if (stopped()) return
    const batch = volume.batch()
    for (const [key] of chunk) batch.del(key)
    await batch.commit()
  }
}

/** What a damaged volume cannot read of these rows stays: nobody needs them. */
async function* readable(scan: AsyncIterable<readonly (readonly [Key, Value])[]>) {
  const chunks = scan[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await chunks.next().catch(() => null)
      if (next === null || next.done) return
      yield next.value
    }
  } finally {
    await chunks.return?.()
  }
}
