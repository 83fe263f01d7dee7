/** All scenarios, in the order in which `all` runs them. */
import type { Scenario } from '../scenario.js'
import { expire } from './expire.js'
import { million } from './million.js'
import { renew } from './renew.js'

export const SCENARIOS: readonly Scenario[] = [renew, expire, million]
