/** All that the library takes from outside: clocks, sockets, unpredictable bytes. Tests and simulations bring their own. */
import { randomBytes } from 'node:crypto'
import { type Clocks, systemClocks } from './clocks.js'
import { type Dial, dialWebSocket } from './socket.js'

export interface World {
  readonly clocks: Clocks
  readonly dial: Dial
  /** Unpredictable bytes: the session's id, and through it the jitter's seed. */
  randomBytes(count: number): Uint8Array
  /** Tells an operator what is wrong with the setting-up, and does not fail a call by itself. */
  warn?(detail: string): void
}

export const systemWorld: World = {
  clocks: systemClocks,
  dial: dialWebSocket,
  randomBytes,
  warn: (detail) => process.emitWarning(detail, { type: 'LeaseholdWarning' }),
}
