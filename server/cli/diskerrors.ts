/** What an error of the system or of LevelDB means for a data directory. */
import { type RefusalCode, StorageRefusal } from '../storage/index.js'

/** In LevelDB's texts, and as the system's codes. The first one that is found counts. */
const MEANINGS: readonly [RegExp, RefusalCode, string][] = [
  [/LEVEL_LOCKED/, 'IN_USE', 'is in use by another process'],
  [/ENOSPC|EDQUOT|No space left|Disk quota/, 'DISK_FULL', 'is on a volume that is full'],
  [/EACCES|EPERM|EROFS|Permission denied|Read-only|not permitted/, 'READ_ONLY', 'cannot be written'],
  [/ENOTDIR|Not a directory/, 'NOT_OURS', 'is not a directory'],
  [/missing files|No such file|ENOENT/, 'MISSING_FILES', 'lacks files'],
  // LevelDB maps its tables into memory: one that is too short is an invalid argument.
  [/LEVEL_CORRUPTION|Corruption|\.ldb: Invalid argument|does not match existing comparator/, 'DAMAGED', 'is damaged'],
]

/** The refusal that an error amounts to; refusals stay as they are. */
export function diskRefusal(error: unknown, path: string): StorageRefusal {
  if (error instanceof StorageRefusal) return error
  const { text, reason } = describe(error)
  const meaning = MEANINGS.find(([pattern]) => pattern.test(text))
  const [code, what] = meaning ? [meaning[1], meaning[2]] : (['DISK_FAILED', 'could not be used'] as const)
  return new StorageRefusal(code, `The data directory ${path} ${what} (${reason}).`, { cause: error })
}

/** Codes and messages down the chain of causes, to search in; and the innermost message, to show. */
function describe(error: unknown): { text: string; reason: string } {
  let text = ''
  let reason = String(error)
  for (let at = error; at instanceof Error; at = at.cause) {
    text += `${(at as NodeJS.ErrnoException).code ?? ''} ${at.message}\n`
    reason = at.message
  }
  // Names that damage made up may hold anything.
  return { text, reason: reason.replace(/[^\x20-\x7e]/g, '?') }
}
