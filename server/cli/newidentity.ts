/** A directory that nobody has heard of, of a cluster that nobody has heard of. */
import { randomBytes } from 'node:crypto'

const ID_BYTES = 8

/** A new id of a cluster or a directory. */
export const newId = (): string => randomBytes(ID_BYTES).toString('hex')

export const newIdentity = (memberId: string) => ({ clusterId: newId(), memberId, directoryId: newId() })
