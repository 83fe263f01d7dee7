/**
 * What the thread that reads a LevelDB (levelreader.ts) and the one that asked for it (levelapart.ts) say to each other. Errors
 * travel as plain values: as such they keep their codes, by which a refusal knows what they mean.
 */
import type { PackedRows } from '../ports/index.js'

/** What to read. Both threads have the same LevelDB open, under this very path. */
export interface Reading {
  readonly path: string
  /** Keys as text; `gte <= key < lt`. */
  readonly gte: string
  readonly lt: string
  readonly chunkRows: number
  readonly chunkBytesMax: number
}

/** Chunks that may be on their way: while one is used, the next ones are read. */
export const CHUNKS_AHEAD = 4

/** To the reader: one chunk is used up, or nothing more is wanted. */
export type Wish = 'more' | 'stop'

/** From the reader. The last word is an end or a failure; without one the rows are not all there. */
export type Word = { readonly rows: PackedRows } | { readonly end: true } | { readonly failure: Failure }

export interface Failure {
  readonly code: string | undefined
  readonly message: string
  readonly cause: Failure | null
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: undefined, message: String(error), cause: null }
  const { code, message, cause } = error as NodeJS.ErrnoException
  return { code, message, cause: cause instanceof Error ? failureOf(cause) : null }
}

export function errorOf({ code, message, cause }: Failure): Error {
  const error = new Error(message, cause === null ? {} : { cause: errorOf(cause) })
  return code === undefined ? error : Object.assign(error, { code })
}
