#!/usr/bin/env node
/** The `leasehold` process: its streams, its signals and its exit code around one command. */
import { EXIT } from './command.js'
import { dispatch, find } from './dispatch.js'

const argv = process.argv.slice(2)
const stop = new AbortController()
if (!find(argv)?.command.longRunning) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', () => process.exit(EXIT.done))
}

process.exitCode = await dispatch(argv, {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  color: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  signal: stop.signal,
})
