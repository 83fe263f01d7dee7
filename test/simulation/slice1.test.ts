/** Seeds 1 to 50 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(1)
