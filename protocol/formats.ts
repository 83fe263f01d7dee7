/**
 * The format: one number for all that members share, so that a cluster can go from one version of Leasehold to the next member by
 * member: commands in the log, rows of the state, what is said on links. A version may change it by one step, and knows the
 * one before as well. What is new in a format must never be written before every member has said that it knows it.
 */

/** First and last format that a version knows. */
export interface Formats {
  readonly min: number
  readonly max: number
}

/** Of this version. */
export const FORMATS: Formats = { min: 1, max: 2 }

/** The first that has quotas. */
export const QUOTA_FORMAT = 2

/** In use in every cluster until all of its members know more. */
export const FIRST_FORMAT = 1
