/** `leasehold lease watch`: the stream of changes as lines, resumable from the cursor that each line carries. */
import { CliError, command, EXIT } from './command.js'
import { connect, connectionFlags } from './connection.js'
import { type EventBody, eventLine } from './events.js'
import { refusal } from './http.js'

export const watch = command({
  name: 'lease watch',
  summary: 'follow the changes of leases and quotas as they happen',
  operands: [],
  flags: {
    prefix: { type: 'string', format: 'prefix', value: 'PREFIX', help: 'only names that begin so' },
    after: { type: 'string', value: 'CURSOR', help: 'start after this change (default: with the next one)' },
    count: { type: 'integer', min: 1, value: 'N', help: 'end after so many changes' },
    ...connectionFlags,
  },
  notes: ['With --json each line is one change: {"cursor":...,"event":{...}}.'],
  async run({ settings, io }) {
    const query = new URLSearchParams()
    if (settings.prefix !== undefined) query.set('prefix', settings.prefix)
    if (settings.after !== undefined) query.set('after', settings.after)
    const lines = connect(settings, io).lines(`/v1/watch?${query}`, { accept: 'text/event-stream' })
    let cursor = settings.after
    let seen = 0
    for await (const message of messages(lines)) {
      if (message.id !== '') cursor = message.id
      // The stream begins with a bare cursor; one that cannot go on ends with why.
      if (message.data === '') continue
      if (message.event === 'end') throw refusal(JSON.parse(message.data), resume(cursor))
      const event = JSON.parse(message.data) as EventBody
      io.out(settings.json ? `${JSON.stringify({ cursor, event })}\n` : eventLine(event))
      seen += 1
      if (seen === settings.count) return EXIT.done
    }
    if (io.signal.aborted) return EXIT.done
    throw new CliError(EXIT.unavailable, `the server ended the stream${resume(cursor)}`)
  },
})

function resume(cursor: string | undefined): string {
  return cursor === undefined ? '' : `; go on with --after ${cursor}`
}

interface Message {
  id: string
  event: string
  data: string
}

/** Server-sent events (WHATWG HTML, section 9.2): fields until an empty line; comments begin with a colon. */
async function* messages(lines: AsyncIterable<string>): AsyncGenerator<Message> {
  let message: Message = { id: '', event: 'message', data: '' }
  for await (const line of lines) {
    if (line === '') {
      yield message
      message = { id: '', event: 'message', data: '' }
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') message.data += message.data === '' ? value : `\n${value}`
    else if (field === 'id') message.id = value
    else if (field === 'event') message.event = value
  }
}
