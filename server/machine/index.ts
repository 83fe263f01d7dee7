export * from './entry.js'
export { MACHINE_LIMITS, type MachineLimits } from './limits.js'
export { Machine } from './machine.js'
export type { MemberView } from './members.js'
