/** The system's randomness, behind the port. */
import { randomBytes } from 'node:crypto'
import type { Random } from '../ports/index.js'

export const realRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
}
