/** Units of a whole cycle each over raw sessions: a lease acquired under a name never used before, and released. */
import { OK } from '@leasehold/protocol'
import type { Done, Unit } from './driver.js'
import type { RawSession } from './rawsession.js'

const TTL_MS = 60_000

export function rawCycles(sessions: readonly RawSession[], prefix: string): Unit {
  let next = 0
  return (slot: number, done: Done) => {
    const session = sessions[slot % sessions.length]!
    const name = `${prefix}/${next++}`
    session.acquire(name, 'holder', TTL_MS, (code, fields) => {
      if (code !== OK) return done(false)
      session.release(name, fields[0] as number, (ended) => done(ended === OK))
    })
  }
}
