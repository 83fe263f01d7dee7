/** Puts the parts of a client together. The one place that knows them all; opens nothing and starts no timer. */
import { type LossReason, OP, type TimeFields } from '@leasehold/protocol'
import { ask } from './ask.js'
import { Calls } from './calls.js'
import { Cancels } from './cancels.js'
import { Timeline } from './clocks.js'
import type { Config } from './config.js'
import type { Core } from './core.js'
import { DeadlineWheel } from './deadline.js'
import { Endpoints, seedOf } from './endpoints.js'
import type { LeaseholdError } from './errors.js'
import { GrantTable } from './grants.js'
import { Link, type LinkOwner } from './link.js'
import { Session } from './session.js'
import { Watches } from './watches.js'
import type { World } from './world.js'

export function assemble(config: Config, world: World): Core {
  const { clocks } = world
  const timeline = new Timeline(clocks)
  const wheel = new DeadlineWheel(clocks)
  const session = new Session(world.randomBytes(16), timeline)
  const grants = new GrantTable()
  const watches = new Watches()
  const connections = { opened: 0 }
  const owner: LinkOwner = {
    opened(welcome) {
      connections.opened++
      session.greeted(welcome.clusterId)
      session.learn(welcome.clusterMs)
      calls.opened()
      cancels.opened()
    },
    replies: (replies) => calls.replies(replies),
    pushes(pushes) {
      for (const push of pushes) {
        if (push[0] === 'ended') grants.ended(push[1], push[2], push[3] as LossReason)
        else if (push[0] === 'away') link.leave(push[3], push[2])
        else watches.push(push)
      }
    },
    lost() {
      calls.lost()
      watches.lost()
    },
    stayed: () => calls.opened(),
    wanted: () => calls.size > 0 || calls.listening,
    listening: () => calls.listening,
    refused: (code, detail) => calls.refused(code, detail),
    clusterId: () => session.clusterId,
  }
  const hello = () => ({
    clientName: config.name,
    sessionId: session.id,
    lowestUnanswered: session.lowest,
    credential: config.credential,
  })
  const endpoints = new Endpoints(config.endpoints, session.seed ^ seedOf(config.name))
  const link = new Link({ world, endpoints, seed: session.seed, hello, owner })
  const calls = new Calls({ clocks, timeline, wheel, session, link, askTime: () => askTime() })
  const cancels = new Cancels({ clocks, timeline, session, calls })
  const core: Core = {
    ...{ name: config.name, drift: config.drift, timeoutMs: config.timeoutMs },
    holder: config.holder ?? `${config.name.slice(0, 246)}-${session.id.slice(0, 8)}`,
    ...{ clocks, timeline, wheel, session, link, calls, cancels, grants, watches, connections },
  }
  const askTime = timeAsker(core)
  return core
}

/** Asks for the cluster time, once at a time. */
function timeAsker(core: Core): () => void {
  let asking = false
  const read = (_: number, fields: readonly unknown[]) => core.session.learn((fields as TimeFields)[0])
  const done = (error: LeaseholdError | null) => {
    asking = false
    core.calls.timed(error)
  }
  return () => {
    if (asking) return
    asking = true
    ask(core, { op: OP.time, body: () => [], read, holds: false }, { timeoutMs: core.timeoutMs }).then(
      () => done(null),
      done,
    )
  }
}
