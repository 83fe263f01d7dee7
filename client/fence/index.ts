/** Fences: what a resource needs to refuse the holder of a lease that is no longer his. */
export { type FenceHookOptions, fenceHook, type ReplyLike, type RequestLike } from './fastify.js'
export { createFence, type Fence, FencedError, type FenceStore, memoryFenceStore } from './fence.js'
export { type LevelFenceStore, type LevelLike, levelFenceStore } from './level.js'
export { type SqlFence, type SqlFenceOptions, type SqlStatement, type SqlValue, sqlFence } from './sql.js'
