export * from './clock.js'
export * from './disk.js'
export * from './random.js'
export * from './telemetry.js'
