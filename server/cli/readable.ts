/** A line of the server's log, for people at a terminal. Apart from the logger: who only reads lines need not load one. */

/** `17:03:21.042 info  serving  url=http://127.0.0.1:7420` */
export function readable(line: string): string {
  const { time, level, event, member: _, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(([key, value]) => {
    return `  ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${event}${rest.join('')}\n`
}
