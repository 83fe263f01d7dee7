/** Seeds 251 to 300 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(6)
