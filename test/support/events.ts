/** Reads server-sent events off a response, one by one. */
export interface SentEvent {
  readonly id: string | null
  readonly event: string | null
  readonly data: string | null
  readonly comment: string | null
}

export async function* sentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SentEvent> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const field = (name: string) => lines.find((line) => line.startsWith(name))?.slice(name.length) ?? null
      yield { id: field('id: '), event: field('event: '), data: field('data: '), comment: field(': ') }
    }
  }
}
