export * from './limits.js'
export * from './raft.js'
export * from './types.js'
