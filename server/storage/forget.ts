/** Which rows a trimmed block of the audit consists of. */
import type { Volume } from '../ports/index.js'
import type { BlockSummary } from './audit.js'
import { KIND, seqKey } from './keys.js'

const CHUNK_ROWS = 16

/** Keys of the block's fingerprints and of all its segments. Found by key, so that damage does not keep them alive. */
export async function forgetBlock(volume: Volume, live: number, block: BlockSummary): Promise<Uint8Array[]> {
  const keys = [seqKey(live, KIND.block, block.first)]
  const [from, to] = [seqKey(live, KIND.segment, block.first), seqKey(live, KIND.segment, block.last + 1)]
  for await (const chunk of volume.scan({ from, to, chunkRows: CHUNK_ROWS })) for (const [key] of chunk) keys.push(key)
  return keys
}
