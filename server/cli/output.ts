/** How results look: tables for people, JSON for programs. Pure. */
import { styleText } from 'node:util'

/** Columns as wide as their widest cell, two spaces between them; the head is bold where colours are shown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], color: boolean): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  const first = line(head)
  return [color ? bold(first) : first, ...rows.map(line)].map((text) => `${text}\n`).join('')
}

/** `key  value` lines. */
export function pairs(entries: readonly (readonly [string, string])[], color: boolean): string {
  const width = Math.max(...entries.map(([key]) => key.length))
  return entries
    .map(([key, value]) => `${color ? bold(key.padEnd(width)) : key.padEnd(width)}  ${value}`.trimEnd())
    .map((text) => `${text}\n`)
    .join('')
}

/** The server's answer as it came, for --json. */
export function answerLine({ text }: { readonly text: string }): string {
  return `${text.trimEnd()}\n`
}

/** Milliseconds for people: `850 ms`, `9.4 s`, `12 min`. */
export function seconds(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${trim(ms / 1_000)} s`
  if (ms < 3_600_000) return `${trim(ms / 60_000)} min`
  return `${trim(ms / 3_600_000)} h`
}

function trim(value: number): string {
  return (Math.floor(value * 10) / 10).toString()
}

function bold(text: string): string {
  return styleText('bold', text, { validateStream: false })
}
