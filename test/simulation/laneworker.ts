/** The thread of a lane: takes a seed, hands back its outcome. */
import { parentPort } from 'node:worker_threads'
import type { Asked } from './lane.js'
import { playSeed } from './seeds.js'

const port = parentPort
port?.on('message', ({ seed, options }: Asked) => {
  playSeed(seed, options).then((outcome) => port.postMessage(outcome))
})
