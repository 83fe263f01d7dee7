/** Names of what stands in a data directory. A disk adds its own lock and volume; nothing else belongs there. */
import type { Version } from './version.js'

export const IDENTITY_FILE = 'identity'
export const SIDE_FILE = 'side'
/** The folder of the volume, on every kind of disk. */
export const VOLUME_NAME = 'volume'
/** Tells people who has the directory open. Never read to decide anything. */
export const OWNER_FILE = 'owner'

/**
 * There from the moment at which others have shown that this directory came back older than it was. Holds what was found, for people.
 * It goes when the files of the directory do.
 */
export const BEHIND_FILE = 'behind'

/** There while a recovery puts fresh files in the place of damaged ones. */
export const SWITCHING_FILE = 'switching'

/** Format of the identity and the marker. Format 1 knew no terms in front of the log, no configuration, and no runs. */
export const FORMAT: Version = { version: 2, readableFrom: 2, readsFrom: 2 }
