/**
 * Put in front of a command under test, so that it runs as a user would start it: without the loader and the coverage that
 * a test runner passes on through NODE_OPTIONS, which make a start three times as long and some programs fail.
 * `env` replaces itself by the command: the process id is the command's.
 */
export const WITHOUT_RUNNER = ['/usr/bin/env', '-u', 'NODE_OPTIONS'] as const
