/** Parts of the library for its own tests and simulations. No part of its surface: may change with any version. */
export { onAbort } from './abort.js'
export { type Clocks, Timeline, type Timer } from './clocks.js'
export { DeadlineWheel, Due } from './deadline.js'
export { Grant } from './grant.js'
export { BACKOFF_BASE_MS, BACKOFF_MAX_MS, backoffMs, jitter, PROBE_EVERY_MS, RetryBudget } from './retry.js'
export { Session } from './session.js'
export { checkDrift, type Mark, PARTING_MS, validityMs } from './validity.js'
