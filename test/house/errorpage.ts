/** docs/errors.md, made from the one table of errors. Run as a program, it writes the page; a test holds the page to it. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ERRORS, type ErrorCode } from '@leasehold/protocol'

export const PAGE = join(import.meta.dirname, '..', '..', '..', 'docs', 'errors.md')

const OPENING = `# Errors

Every error has one stable code, wherever it is met: as \`code\` of the problem document over HTTP, as \`code\` of the error
that the library throws, and as a number on the session's wire. *Retry* says whether the same request may succeed later
without a change. What an error says about execution is in \`executed\`: \`yes\`, \`no\` or \`unknown\`.

This page is made from \`protocol/errors.ts\` by \`npm run docs\`.
`

const HEAD = ['Code', 'HTTP', 'Wire', 'Retry', 'Meaning', 'What to do']

export function errorPage(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { status, wire, retryable, title, help } = ERRORS[code]
    return [`\`${code}\``, status || 'client', wire || '-', retryable ? 'yes' : 'no', title, help]
  })
  const table = [HEAD, HEAD.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return `${OPENING}\n${table.join('\n')}\n`
}

if (import.meta.url === pathToFileURL(resolve(process.argv[1] ?? '')).href) writeFileSync(PAGE, errorPage())
