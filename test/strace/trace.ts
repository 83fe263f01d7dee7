/**
 * Reads what `strace -f -yy -e trace=read,write,writev,fdatasync,fsync` wrote down, and judges it: every reply follows a
 * sync of the log that began after the request had been read. Pure; the order of lines is the order of events.
 */

/** A system call at one of its ends. A call that nothing interrupted has both ends in one line. */
type Step =
  | { readonly kind: 'sync begins'; readonly thread: string }
  | { readonly kind: 'sync ends'; readonly thread: string }
  | { readonly kind: 'request' | 'reply'; readonly connection: string }

const SYNC = /^(?:fdatasync|fsync)\(\d+<([^>]*)>/
const SOCKET = /^(read|write|writev|sendmsg)\(\d+<TCP:\[[^>]*?->([^\]>]*)\]>/
const RESULT = /=\s+(-?\d+)(?: |$)/

export interface TraceOptions {
  /** Syncs of files below this folder count. */
  readonly syncedUnder: string
  /** Messages on each connection that are no requests: the upgrade and the greeting. */
  readonly greetings: number
}

export interface Verdict {
  /** Replies that were judged. */
  readonly replies: number
  readonly syncs: number
  /** One sentence for each reply without its sync. */
  readonly violations: readonly string[]
}

/** Each connection has one request under way at a time. */
export function judgeTrace(lines: Iterable<string>, options: TraceOptions): Verdict {
  const steps = [...stepsOf(lines, options.syncedUnder)]
  const connections = new Map<string, { asked: number; greeted: number }>()
  /** For every sync that has ended: when it began, and the latest such beginning. */
  let newestSynced = -1
  const begun = new Map<string, number>()
  const violations: string[] = []
  let replies = 0
  let syncs = 0
  steps.forEach((step, at) => {
    if (step.kind === 'sync begins') {
      begun.set(step.thread, at)
      return
    }
    if (step.kind === 'sync ends') {
      syncs++
      newestSynced = Math.max(newestSynced, begun.get(step.thread) ?? -1)
      return
    }
    const known = connections.get(step.connection) ?? { asked: -1, greeted: 0 }
    connections.set(step.connection, known)
    if (step.kind === 'request') {
      known.asked = at
      return
    }
    if (known.asked < 0) return
    if (known.greeted < options.greetings) known.greeted++
    else {
      replies++
      if (newestSynced < known.asked)
        violations.push(`reply ${replies} on ${step.connection} has no sync that began after its request`)
    }
    known.asked = -1
  })
  return { replies, syncs, violations }
}

function* stepsOf(lines: Iterable<string>, syncedUnder: string): Iterable<Step> {
  /** Calls that strace has shown the beginning of, by thread. */
  const open = new Map<string, string>()
  for (const line of lines) {
    const parted = /^(\d+)\s+(.*)$/.exec(line)
    if (parted === null) continue
    const thread = parted[1]!
    const text = parted[2]!
    const unfinished = text.endsWith('<unfinished ...>')
    const resumed = text.startsWith('<... ')
    const call = resumed ? open.get(thread) : text
    if (unfinished) open.set(thread, text)
    if (resumed) open.delete(thread)
    if (call !== undefined) yield* stepsOfCall(thread, call, text, { begins: !resumed, ends: !unfinished, syncedUnder })
  }
}

interface Ends {
  readonly begins: boolean
  readonly ends: boolean
  readonly syncedUnder: string
}

function* stepsOfCall(thread: string, call: string, text: string, { begins, ends, syncedUnder }: Ends): Iterable<Step> {
  const path = SYNC.exec(call)?.[1]
  if (path !== undefined) {
    if (!path.startsWith(syncedUnder)) return
    if (begins) yield { kind: 'sync begins', thread }
    // A sync that failed made nothing durable.
    if (ends && RESULT.exec(text)?.[1] === '0') yield { kind: 'sync ends', thread }
    return
  }
  const socket = SOCKET.exec(call)
  if (socket === null) return
  const connection = socket[2]!
  // A request counts once it has been read; a reply, the moment its writing begins.
  if (socket[1] === 'read') {
    if (ends && Number(RESULT.exec(text)?.[1] ?? 0) > 0) yield { kind: 'request', connection }
  } else if (begins) yield { kind: 'reply', connection }
}
