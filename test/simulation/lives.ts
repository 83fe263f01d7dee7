/** The lives that model clients live: acquire, wait, claim, renew, transfer, release, give up, go away, look, revoke. */
import { type Acquire, fencingToken, OFFERED, OK, OP, type Revoke } from '@leasehold/protocol'
import type { Client } from './client.js'

export const NAMES = ['hot/a', 'hot/b', 'warm/c', 'warm/d', 'cold/e', 'cold/f']
const TTLS_MS = [300, 800, 1_500, 3_000, 6_000]
const WAITS_MS = [0, 0, 500, 2_000, 6_000]
const THINK_MS = 300

export async function live(client: Client, clients: number): Promise<void> {
  const { dice, world } = client
  while (!world.finishing) {
    await world.scheduler.sleep(dice.tailed(THINK_MS, 10 * THINK_MS))
    const roll = dice.next()
    // A few names are wanted by many.
    const name = NAMES[Math.min(dice.int(NAMES.length), dice.int(NAMES.length))]!
    if (roll < 0.15) await client.look(name)
    else if (roll < 0.18) await revoke(client, name)
    else if (roll < 0.2) client.restart()
    else await hold(client, name, clients)
  }
}

async function revoke(client: Client, name: string): Promise<void> {
  const { token, done } = client.request()
  const answer = await client.ask((): Revoke => ({ op: OP.revoke, principal: client.name, name, request: token() }))
  if (answer !== null) done()
}

const holderOf = (number: number): string => `h${number}`

/** One grant from its wish to its end. */
async function hold(client: Client, name: string, clients: number): Promise<void> {
  const { dice } = client
  const wish: Omit<Acquire, 'request'> = {
    op: OP.acquire,
    principal: client.name,
    name,
    holder: holderOf(client.number),
    ttlMs: dice.pick(TTLS_MS),
    waitMs: dice.pick(WAITS_MS),
    priority: dice.chance(0.8) ? 0 : dice.int(5) - 2,
    lockDelayMs: dice.chance(0.9) ? 0 : dice.int(1_500),
    meta: dice.chance(0.8) ? null : `at ${client.name}`,
  }
  const { token: request, key, scope, done } = client.request()
  let givenUp = false
  let heard: number | null = null
  const counts = (token: number): boolean => {
    if (!givenUp) heard = token
    return !givenUp
  }
  const asked = client.ask((): Acquire => ({ ...wish, request: request() }), wish.waitMs, counts)
  const cancel = async (): Promise<void> => {
    givenUp = true
    if (heard !== null) client.world.holders.quit(heard)
    const answer = await client.ask(() => ({ op: OP.cancelWait, principal: client.name, scope, key }))
    if (answer !== null) done()
  }
  // Some give up while they wait.
  const impatience =
    wish.waitMs > 0 && dice.chance(0.15)
      ? client.world.scheduler.sleep(dice.between(0, wish.waitMs)).then(cancel)
      : Promise.resolve()
  const answer = await asked
  await impatience
  if (answer === null) {
    // Half of those who never heard give up, the others are gone.
    if (!givenUp && dice.chance(0.5)) await cancel()
    return
  }
  done()
  if (givenUp || (answer.code !== OK && answer.code !== OFFERED)) return
  await use(client, name, Number(answer.fields[0]), answer.code === OFFERED, wish.ttlMs, clients)
}

async function use(client: Client, name: string, raw: number, offered: boolean, ttlMs: number, clients: number) {
  const { dice, world } = client
  const { holders, scheduler } = world
  const token = fencingToken(raw)
  const principal = client.name
  const renew = () => client.ask(() => ({ op: OP.renew, principal, name, token }))
  // Some who are offered are gone.
  if (offered && dice.chance(0.1)) return
  if (offered && (await renew())?.code !== OK) return
  for (let uses = dice.int(4); uses > 0; uses--) {
    await scheduler.sleep(ttlMs * dice.between(0, 0.7))
    if ((await renew())?.code !== OK) return
  }
  await scheduler.sleep(dice.between(0, ttlMs / 4))
  const end = dice.next()
  // Some just stop, and some of those come back too late.
  if (end < 0.25) {
    if (end > 0.15) return
    await scheduler.sleep(ttlMs * dice.between(0.8, 2))
    await renew()
    return
  }
  holders.quit(raw)
  if (end < 0.45) {
    const to = holderOf(dice.int(clients))
    const passed = await client.ask(() => ({ op: OP.transfer, principal, name, token, to }))
    if (passed?.code === OK) return
  }
  await client.ask(() => ({ op: OP.release, principal, name, token }))
}
