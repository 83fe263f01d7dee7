/** Seeds 51 to 100 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(2)
