/** The process of one scenario. It ends with its parent. */
import { networkHere } from './network.js'
import type { Asked } from './ownprocess.js'
import { runScenario } from './run.js'
import { SCENARIOS } from './scenarios/index.js'

let reported = false
process.once('message', async ({ scenario, options, parent }: Asked) => {
  const say = (text: string) => void process.stderr.write(`  ${text}\n`)
  const found = SCENARIOS.find(({ name }) => name === scenario)!
  const report = await runScenario(found, { ...options, network: networkHere(), say }, parent)
  process.send!(report, () => {
    reported = true
    process.disconnect()
  })
})
process.once('disconnect', () => process.exit(reported ? 0 : 1))
