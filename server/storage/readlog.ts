/** Reading log entries back: checksum, sequence and chain of each one are verified before it is handed out. */
import type { Entry } from '../machine/index.js'
import type { VolumeReader } from '../ports/index.js'
import { type EntryRecord, entryOf, readEntry } from './entries.js'
import { KIND, seqKey } from './keys.js'
import { Damage } from './refusal.js'
import { readRow } from './rows.js'

const CHUNK_ROWS = 256

export interface LogRange {
  readonly from: number
  readonly to: number
}

/** Records of a range, in chunks. Throws Damage at the first one that is missing or fails a check. */
export async function* readRecords(
  volume: VolumeReader,
  live: number,
  { from, to }: LogRange,
): AsyncGenerator<readonly EntryRecord[]> {
  let next = from
  let previous: Uint8Array | null = null
  if (to >= from) {
    const range = { from: seqKey(live, KIND.entry, from), to: seqKey(live, KIND.entry, to + 1), chunkRows: CHUNK_ROWS }
    for await (const chunk of volume.scan(range)) {
      const records: EntryRecord[] = []
      for (const [key, value] of chunk) {
        const record = readEntry(readRow(key, value, `Log entry ${next}`))
        if (record.index !== next) throw new Damage(`Log entry ${next} is missing.`)
        if (previous !== null && Buffer.compare(previous, record.previous) !== 0) {
          throw new Damage(`The log's chain breaks at entry ${next}.`)
        }
        previous = record.hash
        next += 1
        records.push(record)
      }
      yield records
    }
  }
  if (next !== to + 1) throw new Damage(`Log entry ${next} is missing.`)
}

/** The entries of a range, in chunks. Throws Damage as readRecords does. */
export async function* readLog(volume: VolumeReader, live: number, range: LogRange): AsyncGenerator<readonly Entry[]> {
  for await (const records of readRecords(volume, live, range)) yield records.map(entryOf)
}
