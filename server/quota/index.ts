export * from './desk.js'
export * from './limits.js'
export { createQuotas, type QuotasOptions } from './quotas.js'
