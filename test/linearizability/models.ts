/** The models that ship, by name. */
import { lease } from './lease.js'
import type { Model } from './model.js'
import { register } from './register.js'

export const MODELS: Readonly<Record<string, Model<unknown, unknown>>> = { register, lease }
