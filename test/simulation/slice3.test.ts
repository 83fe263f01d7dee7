/** Seeds 101 to 150 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(3)
