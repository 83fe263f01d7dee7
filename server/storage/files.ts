/** Names of what stands in a data directory. A disk adds its own lock and volume; nothing else belongs there. */
export const IDENTITY_FILE = 'identity'
export const SIDE_FILE = 'side'
/** The folder of the volume, on every kind of disk. */
export const VOLUME_NAME = 'volume'
/** Tells people who has the directory open. Never read to decide anything. */
export const OWNER_FILE = 'owner'

/** There while a recovery puts fresh files in the place of damaged ones. */
export const SWITCHING_FILE = 'switching'

/** Format of everything in the directory. A directory of a newer one is refused. */
export const FORMAT = 1
