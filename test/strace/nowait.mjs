/** A planted fault: a server that is started with `--import` of this file does not wait for its writes to be synced. */
import { AbstractChainedBatch } from 'abstract-level'

const { write } = AbstractChainedBatch.prototype
AbstractChainedBatch.prototype.write = function (options) {
  write.call(this, options).catch(() => process.abort())
  return Promise.resolve()
}
