export type { HttpInfo } from './context.js'
export { HTTP_LIMITS, type HttpLimits } from './limits.js'
export { type App, createHttp, type HttpOptions } from './server.js'
export { type MetricsSource, REDACTED, ServerTelemetry } from './telemetry.js'
