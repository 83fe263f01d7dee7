export * from './entry.js'
