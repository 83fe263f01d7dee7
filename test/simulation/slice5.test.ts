/** Seeds 201 to 250 of the simulated worlds. */
import { playSlice } from './slice.js'

playSlice(5)
