/**
 * Node for processes under test, as a user would start it: without the loader and the coverage that a test runner
 * passes on through NODE_OPTIONS, which make a start three times as long. `env` replaces itself: the process id is node's.
 */
export const BARE_NODE = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath] as const
