/**
 * How Node is to run a server, given wherever the project itself starts one. What a request leaves behind is garbage a few milliseconds
 * later: with room for more of it the collector comes seldom, and finds nearly nothing alive. And it gets one thread, since those of Node's
 * own choice, four, take the processor away from all that a small machine runs beside them.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=64', '--v8-pool-size=1']
