/**
 * The language of the scenarios. A line that begins with `> ` is a command; the lines after it are what comes of it. `#` begins a
 * comment. Commands:
 *
 *   cast ID,ID... term T [vote ID] log T T T:CONFIGURATION ... [applied N] in VOTERS [| OUTGOING [| LEARNERS]]
 *   tick ID [N]          campaign ID          propose ID TEXT ...     configure ID VOTERS | OUTGOING | LEARNERS
 *   sync ID              crash ID             restart ID              read ID NUMBER
 *   deliver FROM TO [last | copy]   all that is on the way, or the last of it, or all of it while it also stays on the way
 *   drop FROM TO         link ID ID up|down   transfer ID TO          trim ID FIRST
 *   idle ID on|off       draw ID FRACTION     snapshot FROM TO [failed | begun]      installed ID
 *   room ID              quorum ID            notices ID held|sent   copy ID        putback ID (its disk as it was copied)
 *   inject FROM TO KIND JSON        pass N (ticks for all, everything arrives)      settle       show ID ...
 */
import { logIndex } from '@leasehold/protocol'
import { MESSAGE, type Message } from '@leasehold/server/raft'
import { type Item, item } from './cluster.js'
import { configurationFrom, Stage } from './stage.js'

type Words = readonly string[]
const number = (word: string | undefined) => {
  if (word === undefined || !/^[\d.]+$/.test(word)) throw new Error(`${word} is not a number`)
  return Number(word)
}

const COMMANDS: Readonly<Record<string, (stage: Stage, words: Words) => void>> = {
  cast: (stage, [ids, ...words]) => {
    for (const id of ids!.split(',')) stage.cast(id, castingOf(words))
  },
  tick: (stage, [id, count = '1']) => {
    for (let i = 0; i < number(count); i++) stage.act(id, (core) => core.tick())
  },
  campaign: (stage, [id]) => stage.act(id, (core) => core.campaign()),
  propose: (stage, [id, ...texts]) => propose(stage, id, texts),
  configure: (stage, [id, ...words]) => propose(stage, id, [`configure ${words.join(' ')}`]),
  sync: (stage, [id]) => stage.sync(id),
  crash: (stage, [id]) => stage.crash(id),
  restart: (stage, [id]) => stage.restart(id),
  copy: (stage, [id]) => {
    stage.actor(id).copy = stage.actor(id).disk.copy()
  },
  putback: (stage, [id]) => {
    stage.actor(id).disk = stage.actor(id).copy!.copy()
  },
  read: (stage, [id, read]) => stage.act(id, (core) => core.readIndex(number(read))),
  deliver: (stage, [from, to, how]) => deliver(stage, from!, to!, how),
  drop: (stage, [from, to]) => void lettersOf(stage, from!, to!, true),
  link: (stage, [a, b, state]) => {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      if (state === 'down') lettersOf(stage, one!, other!, true)
      if (stage.actor(one).core === null) continue
      stage.act(one, (core) => (state === 'down' ? core.linkDown(other!) : core.linkUp(other!)))
    }
  },
  transfer: (stage, [id, to]) => {
    let begun = false
    stage.act(id, (core) => {
      begun = core.transferLeadership(to!)
    })
    if (!begun) stage.say(`${id} cannot`)
  },
  trim: (stage, [id, first]) => {
    const actor = stage.actor(id)
    actor.disk.checkpoint = actor.applied
    actor.disk.trim(logIndex(number(first)))
    stage.act(id, (core) => core.trimmed(logIndex(number(first))))
  },
  idle: (stage, [id, state]) => {
    stage.actor(id).idle = state === 'on'
    stage.take(stage.actor(id))
  },
  draw: (stage, [id, fraction]) => {
    stage.actor(id).draw = number(fraction)
  },
  snapshot: (stage, [from, to, how]) => {
    if (how === 'failed') stage.act(from, (core) => core.snapshotFailed(to!))
    else if (snapshot(stage, from!, to!) && how !== 'begun') installed(stage, to!)
  },
  installed: (stage, [id]) => installed(stage, id!),
  inject: (stage, [from, to, kind, ...json]) => {
    const message = { kind: MESSAGE[kind as keyof typeof MESSAGE], ...JSON.parse(json.join(' ')) } as Message<Item>
    stage.deliver(from!, message, to!)
  },
  pass: (stage, [count]) => {
    quietly(stage, () => {
      for (let i = 0; i < number(count); i++) {
        for (const { id, core } of stage.actors.values()) if (core !== null) stage.act(id, (one) => one.tick())
        stage.settle()
      }
    })
  },
  room: (stage, [id]) => stage.say(`${id} has room for ${stage.core(id).roomBytes} bytes`),
  quorum: (stage, [id]) => stage.say(`${id} has ${stage.core(id).quorumFresh ? 'a' : 'no'} quorum`),
  notices: (stage, [id, how]) =>
    stage.act(id, (core) => {
      core.holdsNotices = how === 'held'
    }),
  settle: (stage) => quietly(stage, () => stage.settle()),
  show: (stage, ids) => {
    for (const id of ids) stage.show(id)
  },
}

/** The scenario as it really goes: the same comments and commands, and what came of them. */
export function play(script: string): string {
  const stage = new Stage()
  const out: string[] = []
  for (const line of script.split('\n')) {
    if (line === '' || line.startsWith('#')) out.push(line)
    if (!line.startsWith('> ')) continue
    const [name, ...words] = line.slice(2).trim().split(/\s+/)
    const command = COMMANDS[name!]
    if (command === undefined) throw new Error(`nobody knows how to ${name}`)
    out.push(line)
    try {
      command(stage, words)
      out.push(...stage.takeLines())
    } catch (error) {
      out.push(...stage.takeLines(), `! ${(error as Error).message}`)
    }
  }
  return out.join('\n')
}

function castingOf(words: Words) {
  const at = (word: string) => words.indexOf(word)
  const entries: { term: number; text: string }[] = []
  for (let i = at('log') + 1; i < words.length && /^\d/.test(words[i]!); i++) {
    const [of, configuration] = words[i]!.split(':')
    const text = configuration === undefined ? 'old' : `configure ${configuration.replaceAll(',', ' ')}`
    entries.push({ term: number(of), text })
  }
  return {
    term: number(words[at('term') + 1]),
    vote: at('vote') < 0 ? null : words[at('vote') + 1]!,
    entries,
    applied: at('applied') < 0 ? Math.min(1, entries.length) : number(words[at('applied') + 1]),
    configuration: configurationFrom(words.slice(at('in') + 1).join(' ')),
  }
}

function propose(stage: Stage, id: string | undefined, texts: Words): void {
  stage.act(id, (core) => {
    const { term, lastIndex } = core.status
    try {
      core.propose(texts.map((text, i) => item(term, logIndex(lastIndex + 1 + i), text)))
    } catch (error) {
      stage.say(`${id} refuses: ${(error as Error).message}`)
    }
  })
}

/** What is on its way from one to the other, in order; taken off where told. */
function lettersOf(stage: Stage, from: string, to: string, take: boolean): Message<Item>[] {
  const letters = stage.mail.filter((letter) => letter.from === from && letter.addressed.to === to)
  if (take) for (const letter of letters) stage.mail.splice(stage.mail.indexOf(letter), 1)
  return letters.map((letter) => letter.addressed.message)
}

function deliver(stage: Stage, from: string, to: string, how: string | undefined): void {
  const letters = lettersOf(stage, from, to, how === undefined)
  if (letters.length === 0) throw new Error(`nothing is on its way from ${from} to ${to}`)
  if (how === 'last') {
    const last = stage.mail.findLastIndex((letter) => letter.from === from && letter.addressed.to === to)
    letters.splice(0, letters.length - 1)
    stage.mail.splice(last, 1)
  }
  for (const letter of letters) stage.deliver(from, letter, to)
}

function snapshot(stage: Stage, from: string, to: string): boolean {
  const { index, term, configuration } = stage.actor(from).applied
  if (!stage.core(to).needsSnapshot(index, term)) {
    stage.say(`${to} needs no snapshot`)
    return false
  }
  stage.actor(to).installing = { index, term, configuration }
  return true
}

function installed(stage: Stage, id: string): void {
  stage.actor(id).restore()
  stage.take(stage.actor(id))
}

function quietly(stage: Stage, what: () => void): void {
  stage.quiet = true
  try {
    what()
  } finally {
    stage.quiet = false
  }
}
