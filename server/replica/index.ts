export * from './log.js'
export * from './replica.js'
