export { Feed, type Watch, type WatchSink } from './feed.js'
export { SESSION_LIMITS, type SessionLimits } from './limits.js'
export { createSessions, type SessionInfo, Sessions, type SessionsOptions } from './sessions.js'
export { CLOSE, type Socket, type SocketHandle } from './socket.js'
