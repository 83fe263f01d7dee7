/**
 * The one row that holds the cluster's configuration: who votes, who learns, where each is reached. It stands in the
 * state, so that a checkpoint and a snapshot carry it, and the log before them may go.
 */
import { type Configuration, configurationFields, configurationOfFields } from '@leasehold/protocol'
import type { Row } from './changes.js'
import { type Codec, Table } from './table.js'

interface Configured extends Row {
  configuration: Configuration
}

const KEY = 'configuration'

const codec: Codec<Configured> = {
  name: 'configuration',
  keyOf: () => KEY,
  encode: (row) => configurationFields(row.configuration),
  decode: (key, reader) => {
    const fields: (number | string)[] = []
    while (reader.more) fields.push(reader.intOrText())
    try {
      return { saved: 0, change: -1, configuration: configurationOfFields(fields) }
    } catch (error) {
      throw new Error(`stored row configuration/${key}: ${(error as Error).message}`)
    }
  },
}

export class ConfigurationTable extends Table<Configured> {
  constructor() {
    super(codec)
  }

  /** Null before any was set. */
  get current(): Configuration | null {
    return this.get(KEY)?.configuration ?? null
  }

  /** Must be well formed. */
  set(configuration: Configuration): void {
    const row = this.get(KEY)
    if (row === undefined) this.insert(KEY, { saved: 0, change: -1, configuration })
    else {
      row.configuration = configuration
      this.touch(row)
    }
  }
}
