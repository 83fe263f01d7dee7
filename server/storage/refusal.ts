/**
 * The one way in which storage refuses a data directory. A refusal never changes the directory, so that the next start
 * refuses it again, and its message always says what to do.
 */

const ADVICE = {
  IN_USE: 'Stop that process, or give this server a directory of its own (--data).',
  READ_ONLY: 'Make the directory writable for the user that runs the server, or choose another one (--data).',
  NOT_FORMED: 'Start a server on it to form it, or choose another directory (--data).',
  EXISTS: 'Choose an empty directory (--data).',
  NOT_OURS: 'Choose the directory that this member wrote, or an empty one (--data).',
  OLDER_VERSION: 'Start the version of Leasehold that wrote it.',
  NEWER_VERSION: 'Start the version of Leasehold that wrote it, or a newer one.',
  DAMAGED:
    'Do not delete anything. Restore the directory from a backup; or run `leasehold recover --accept-loss`, which lists what is lost and keeps a copy.',
  LOST_TAIL:
    'What this member promised is gone. Restore the directory from a backup; or run `leasehold recover --accept-loss`, which lists what is lost and keeps a copy.',
  MISSING_FILES:
    'Put the missing file back from where it went; or run `leasehold recover --accept-loss`, which lists what is lost and keeps a copy.',
  BEHIND:
    'Remove this member from the cluster and add it again with an empty directory: it learns everything from the others. Do not start it on this one.',
  DISK_FULL: 'Make room on the volume and start again. Nothing that was acknowledged is lost.',
  DISK_FAILED: 'Look at the cause and the system log for the state of the disk, then start again.',
  UNFINISHED: 'Run the command again that was writing it, or choose another directory (--data).',
  BAD_COPY: 'Use another one, or a whole copy of this one; nothing was changed.',
  NOT_ALONE:
    'Remove it from the cluster and add it again with an empty directory: it learns everything from the others. Where most of them are gone for good, begin anew with the directory that has the most.',
  NOTHING_LOST: 'Nothing needs to be given up: start the server.',
} as const

export type RefusalCode = keyof typeof ADVICE

/** A data directory that cannot be used as it is. `code` is stable; `message` says what was found and what to do. */
export class StorageRefusal extends Error {
  override readonly name = 'StorageRefusal'
  readonly code: RefusalCode
  /** What was found, without the advice. */
  readonly found: string

  constructor(code: RefusalCode, found: string, options?: ErrorOptions) {
    super(`${found} ${ADVICE[code]}`, options)
    this.code = code
    this.found = found
  }
}

/** One row, record or file that fails its checks. Whoever reads decides what that means: a refusal, or AUDIT_CORRUPT. */
export class Damage extends Error {
  override readonly name = 'Damage'
}

/** The refusal that an error met while opening amounts to. */
export function asRefusal(error: unknown): StorageRefusal {
  if (error instanceof StorageRefusal) return error
  const reason = error instanceof Error ? error.message : String(error)
  if (error instanceof Damage) return new StorageRefusal('DAMAGED', reason, { cause: error })
  return new StorageRefusal('DISK_FAILED', `The data directory could not be read: ${reason}.`, { cause: error })
}
