/**
 * Versions of records, so that neighbouring versions of Leasehold read each other's: in one directory before and after an upgrade (or the
 * way back), and between members while a cluster is upgraded one by one.
 *
 * Every record begins with two bytes: the version that it was written in, and the oldest version that can read it. The rule: a
 * version N+1 that only adds puts its new fields behind those of N and says "readable from N"; a reader of N takes the fields that it
 * knows and passes over the rest. One that changes what N's fields mean says "readable from N+1", and may be written
 * only once no member of version N is left. A reader never guesses: what says that it cannot read it, it refuses.
 */
import type { Reader, Writer } from './bytes.js'
import { StorageRefusal } from './refusal.js'

export interface Version {
  readonly version: number
  /** The oldest version whose readers understand what this one writes. */
  readonly readableFrom: number
  /** The oldest version of which this one reads what it wrote. */
  readonly readsFrom: number
}

export function writeVersion(writer: Writer, { version, readableFrom }: Version): void {
  writer.u8(version)
  writer.u8(readableFrom)
}

/** The version that a record was written in. Throws StorageRefusal (NEWER_VERSION, OLDER_VERSION) where it is not for this reader. */
export function readVersion(reader: Reader, known: Version, what: string): number {
  const version = reader.u8()
  const readableFrom = reader.u8()
  if (readableFrom > known.version) {
    const found = `${what} has format ${version}, for versions of Leasehold that read format ${readableFrom}; this one reads ${known.version}.`
    throw new StorageRefusal('NEWER_VERSION', found)
  }
  if (version < known.readsFrom) {
    const found = `${what} has format ${version}; this version of Leasehold reads formats from ${known.readsFrom} on.`
    throw new StorageRefusal('OLDER_VERSION', found)
  }
  return version
}

/** At the end of the fields that this reader knows: only a newer record may have more. Throws Damage. */
export function endRecord(reader: Reader, version: number, known: Version): void {
  if (version <= known.version) reader.end()
}
