/** Which rows a trimmed block of the audit consists of. */
import type { VolumeReader } from '../ports/index.js'
import type { BlockSummary } from './audit.js'
import { KIND, seqKey } from './keys.js'
import { blockAt } from './readaudit.js'

/** Keys of the block's fingerprints and of all its segments; where damage hides them, every key that they could have. */
export async function forgetBlock(volume: VolumeReader, live: number, block: BlockSummary): Promise<Uint8Array[]> {
  const keys = [seqKey(live, KIND.block, block.first)]
  const mentions = block.damaged ? null : await blockAt(volume, live, block.first).catch(() => null)
  if (mentions !== null) for (const { first } of mentions.segments) keys.push(seqKey(live, KIND.segment, first))
  else for (let seq = block.first; seq <= block.last; seq += 1) keys.push(seqKey(live, KIND.segment, seq))
  return keys
}
