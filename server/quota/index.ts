export * from './desk.js'
