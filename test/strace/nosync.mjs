/** A planted fault: a server that is started with `--import` of this file writes its batches without a sync. */
import { AbstractChainedBatch } from 'abstract-level'

const { write } = AbstractChainedBatch.prototype
AbstractChainedBatch.prototype.write = function (options) {
  return write.call(this, { ...options, sync: false })
}
