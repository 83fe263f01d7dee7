/** Quotas in front of HTTP routes: a hook, a middleware, and the headers for those who answer by themselves. */
export { type Headers, type Limiter, type RateLimitOptions, rateLimitHeaders } from './decide.js'
export { type ReplyLike, type ResponseLike, rateLimitHook, rateLimitMiddleware } from './hooks.js'
