/** Writes a history in the format that the checker reads (docs/check-history.md). */

export interface Told {
  readonly f: string
  readonly key: string
  readonly input: unknown
  readonly calledMs: number
  /** Null: nothing is known of its outcome. */
  readonly end: { readonly atMs: number; readonly type: 'ok' | 'fail'; readonly value?: unknown } | null
}

/** A process for each operation: clients have many under way at once. */
export function writeLines(operations: readonly Told[]): string {
  const lines = operations.flatMap(({ f, key, input, calledMs, end }, process) => {
    const call = { atMs: calledMs, ends: 0, text: { type: 'invoke', process, f, key, value: input, time: calledMs } }
    if (end === null) return [call]
    const { atMs, type, value = null } = end
    return [call, { atMs, ends: 1, text: { type, process, f, ...(type === 'ok' ? { value } : {}), time: atMs } }]
  })
  lines.sort((a, b) => a.atMs - b.atMs || a.ends - b.ends)
  return lines.map(({ text }) => `${JSON.stringify(text)}\n`).join('')
}
