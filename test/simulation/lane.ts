/** One of several threads that play seeds side by side: takes a seed, hands back its outcome. */
import { parentPort, workerData } from 'node:worker_threads'
import { type LaneOptions, playSeed } from './seeds.js'

const port = parentPort
const options = workerData as LaneOptions
port?.on('message', (seed: number) => {
  playSeed(seed, options).then((outcome) => port.postMessage(outcome))
})
