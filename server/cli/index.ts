/** What tests, benchmarks and embedders may use of the command line. */
export { command, UsageError } from './command.js'
export { commands } from './commands.js'
export { settle } from './config.js'
export { chainedEvent, type EventBody } from './events.js'
export { LevelDisk } from './leveldisk.js'
export { startServer } from './server.js'
export { judge, nextLookMs, SHARES, Supervisor } from './supervise.js'
export { ChainCheck } from './verify.js'
