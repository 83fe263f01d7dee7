/** The fenced blocks of one chapter of a Markdown file, in their order. Pure. */

export interface Block {
  /** `sh`, `js`, `text` ... */
  readonly language: string
  /** What follows the language on the fence. */
  readonly note: string
  readonly text: string
  /** Line of the opening fence, from 1. */
  readonly line: number
}

/** Throws where the chapter or the end of a fence is missing. */
export function blocksOf(markdown: string, chapter: string): Block[] {
  const lines = markdown.split('\n')
  const start = lines.indexOf(chapter)
  if (start < 0) throw new Error(`there is no "${chapter}"`)
  const level = chapter.indexOf(' ')
  const blocks: Block[] = []
  let open: { language: string; note: string; line: number; from: number } | null = null
  for (let at = start + 1; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const heading = /^#+(?= )/.exec(line)
    if (open === null && heading !== null && heading[0].length <= level) return blocks
    if (!line.startsWith('```')) continue
    if (open === null) {
      const [language = '', ...note] = line.slice(3).split(' ')
      open = { language, note: note.join(' '), line: at + 1, from: at + 1 }
    } else {
      blocks.push({
        language: open.language,
        note: open.note,
        line: open.line,
        text: lines.slice(open.from, at).join('\n'),
      })
      open = null
    }
  }
  if (open !== null) throw new Error(`the block of line ${open.line} has no end`)
  return blocks
}

/** What differs from run to run, made the same: times, durations, hashes, ids, ports. Tokens are not: they count up. */
export function settled(output: string): string {
  return output
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '<hash>')
    .replaceAll(/\b[0-9a-f]{16}\b/g, '<id>')
    .replaceAll(/("requestId":")[^"]+/g, '$1<request>')
    .replaceAll(/("(?:remainingMs|clusterMs|commitIndex|appliedIndex)":)\d+/g, '$1<ms>')
    .replaceAll(/\b\d+(?:\.\d+)? (?:ms|s|min|h)\b/g, '<duration>')
    .replaceAll(/\b\d+ ms\b/g, '<duration>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .split('\n')
    .map((line) => line.trimEnd().replaceAll(/(<duration>|<time>|<hash>|<id>) +/g, '$1 '))
    .join('\n')
    .trim()
}
