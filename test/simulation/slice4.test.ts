/** Seeds 151 to 200 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(4)
