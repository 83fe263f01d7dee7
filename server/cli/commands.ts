/** All commands, in the order in which the help lists them. */
import { backup, restore } from './backup.js'
import { clusterCommands } from './cluster.js'
import type { Command } from './command.js'
import { dev } from './dev.js'
import { history } from './history.js'
import { leaseCommands } from './lease.js'
import { quotaCommands } from './quota.js'
import { recover } from './recover.js'
import { recoverQuorum } from './recoverquorum.js'
import { run } from './run.js'
import { serve } from './serve.js'
import { status } from './status.js'
import { watch } from './watch.js'

export const commands: readonly Command[] = [
  serve,
  dev,
  run,
  ...leaseCommands,
  watch,
  ...quotaCommands,
  history,
  status,
  ...clusterCommands,
  backup,
  restore,
  recover,
  recoverQuorum,
]
