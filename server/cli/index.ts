/** What tests, benchmarks and embedders may use of the command line. */
export { command, UsageError } from './command.js'
export { commands } from './commands.js'
export { settle } from './config.js'
