/** A planted fault: a server that is started with `--import` of this file answers some time before it writes. */
import { AbstractChainedBatch } from 'abstract-level'

const LATE_MS = 100

const { write } = AbstractChainedBatch.prototype
let last = Promise.resolve()
AbstractChainedBatch.prototype.write = function (options) {
  last = last
    .then(() => new Promise((resolve) => setTimeout(resolve, LATE_MS)))
    .then(() => write.call(this, options))
    .catch(() => process.abort())
  return Promise.resolve()
}
