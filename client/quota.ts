/**
 * A quota as this process takes from it. Decisions are made here, from tokens that a member has passed on; more are drawn on use, one request
 * at a time, for all who wait. Nothing happens while nobody takes. Must never admit from a tab whose time is over.
 */
import { checkCost, type DrawnFields, durationMs, type WhenUnavailable } from '@leasehold/protocol'
import { onAbort } from './abort.js'
import { outcomeError } from './ask.js'
import type { Core } from './core.js'
import { aborted, closed, LeaseholdError, refusedHere } from './errors.js'
import { Alarm, DrawCall } from './quotacall.js'
import { Tab } from './quotatab.js'
import type { QuotaCounts, Taken, TakeOptions, TryTaken } from './quotatypes.js'
import type { Mark } from './validity.js'

/** What is asked for within this is drawn in advance. */
const AHEAD_MS = 250
/** Two draws in advance are at least so far apart. */
const DRAW_EVERY_MS = 40
const DRAW_MS_MAX = 2_000
/** After nobody answered, the next one is asked after this. */
const UNAVAILABLE_MS = 500
const COLD_RETRY_MS = 20
const WAITING_MAX = 16_384
/** Of what was measured lately, against what was known before. */
const DEMAND_SHARE = 0.5
const GOODBYE_MS = 500

const TAKEN: TryTaken = Object.freeze({ ok: true, how: 'exact' })
const SHADOWED: TryTaken = Object.freeze({ ok: true, how: 'shadow' })
const ALLOWED: TryTaken = Object.freeze({ ok: true, how: 'unavailable' })

interface Waiting {
  readonly tokens: number
  readonly upTo: boolean
  readonly untilMs: number
  readonly done: (taken: Taken) => void
  readonly failed: (error: LeaseholdError) => void
}

export class Quota implements AsyncDisposable {
  readonly name: string
  /** Admissions without tokens, by right of the quota's specification. */
  readonly counts: QuotaCounts = { shadow: 0, unavailable: 0 }
  readonly #core: Core
  #tab: Tab | null = null
  /** The one before, of another member: what is left of it is good until its end. */
  #before: Tab | null = null
  #reportedSpent = 0
  #drawing: DrawCall | null = null
  readonly #waiting: Waiting[] = []
  readonly #alarm: Alarm
  // What the last answer said.
  #limit = 0
  #shadow = false
  #whenUnavailable: WhenUnavailable = 'deny'
  #exhaustedUntilMs = 0
  /** Nobody answered, and nobody has since; asked again from this moment on. */
  #unavailable = false
  #unavailableUntilMs = 0
  // Demand, in tokens a millisecond.
  #asked = 0
  #measuredMs: number
  #demandPerMs = 0
  #low = 0
  #drawnMs = Number.NEGATIVE_INFINITY
  #closed = false

  /** See Client.quota. */
  constructor(core: Core, name: string) {
    this.#core = core
    this.name = name
    this.#measuredMs = core.clocks.monotonicMs()
    this.#alarm = new Alarm((nowMs) => this.#ring(nowMs))
  }

  /** Whether so many tokens may be used now. No I/O, no waiting; what runs low is drawn alongside. */
  tryTake(tokens = 1): TryTaken {
    this.#asked += tokens
    const tab = this.#tab
    if (
      tab !== null &&
      tab.left >= tokens &&
      tokens >= 1 &&
      this.#waiting.length === 0 &&
      tab.live(this.#core.timeline)
    ) {
      tab.spend(tokens)
      if (tab.left < this.#low) this.#ahead()
      return TAKEN
    }
    return this.#without(tokens)
  }

  /** Waits for its turn until the tokens are there, or until it is certain that they will not be in time: QUOTA_EXCEEDED. */
  async take(tokens = 1, options: TakeOptions = {}): Promise<Taken> {
    const { signal, upTo = false } = options
    const timeoutMs = this.#checked(() => {
      checkCost(tokens, 'tokens')
      return options.timeout === undefined ? this.#core.timeoutMs : durationMs(options.timeout, 'timeout')
    })
    if (signal?.aborted) throw aborted(signal, 'no')
    const now = this.tryTake(tokens)
    if (now.ok) return { taken: tokens, how: now.how }
    if (this.#closed) throw closed('no')
    if (this.#limit > 0 && tokens > this.#limit) throw this.#never(tokens)
    if (this.#waiting.length >= WAITING_MAX) {
      throw new LeaseholdError('LIMIT_REACHED', `more than ${WAITING_MAX} wait for tokens of ${this.name}`, {
        executed: 'no',
      })
    }
    return new Promise((resolve, reject) => {
      const stop = onAbort(signal, () => {
        const at = this.#waiting.indexOf(one)
        if (at < 0) return
        this.#waiting.splice(at, 1)
        if (this.#waiting.length === 0) this.#hold(false)
        reject(aborted(signal!, 'no'))
      })
      const one: Waiting = {
        ...{ tokens, upTo, untilMs: this.#core.clocks.monotonicMs() + timeoutMs },
        done: (taken) => {
          stop()
          resolve(taken)
        },
        failed: (error) => {
          stop()
          reject(error)
        },
      }
      this.#waiting.push(one)
      this.#hold(true)
      this.#next(this.#core.clocks.monotonicMs())
    })
  }

  /** Tokens that are here now. */
  peek(): number {
    const { timeline } = this.#core
    return this.#tab?.live(timeline) === true ? this.#tab.left : 0
  }

  /** Tokens that were taken here and not used can be taken again; of those that the cluster counts as spent already, none. Returns how many. */
  giveBack(tokens: number): number {
    this.#checked(() => checkCost(tokens, 'tokens'))
    const tab = this.#tab
    if (tab === null || !tab.live(this.#core.timeline)) return 0
    return tab.giveBack(tokens, this.#reportedSpent)
  }

  /** What is left goes back to the cluster, for others. Waits for that briefly, and never throws. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const one of this.#waiting.splice(0)) one.failed(closed('no'))
    this.#hold(false)
    this.#core.wheel.clear(this.#alarm)
    const tab = this.#tab
    if (tab === null || !tab.live(this.#core.timeline) || tab.connection !== this.#core.connections.opened) return
    tab.seal()
    if (!this.#core.link.open) return
    await new Promise<void>((resolve) => {
      const body = () => [this.name, 0, tab.number, tab.spent, tab.returned]
      const call = new DrawCall(
        body,
        () => resolve(),
        () => resolve(),
        true,
      )
      this.#core.calls.submit(call, this.#core.clocks.monotonicMs() + GOODBYE_MS)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // Without tokens at hand

  #without(tokens: number): TryTaken {
    this.#checked(() => checkCost(tokens, 'tokens'))
    if (this.#limit > 0 && tokens > this.#limit) throw this.#never(tokens)
    const { clocks, timeline } = this.#core
    const before = this.#before
    if (before !== null && this.#waiting.length === 0) {
      if (!before.live(timeline)) this.#before = null
      else if (before.left >= tokens) {
        before.spend(tokens)
        this.#ahead()
        return TAKEN
      }
    }
    const nowMs = clocks.monotonicMs()
    if (this.#exhaustedUntilMs > nowMs) {
      return this.#shadow ? this.#shadowed() : denied('empty', this.#exhaustedUntilMs - nowMs)
    }
    if (!this.#closed) this.#draw(Math.max(tokens, this.#advance()), nowMs)
    if (this.#unavailable) {
      if (this.#whenUnavailable === 'allow' || this.#shadow) return this.#allowed()
      return denied('unavailable', Math.max(COLD_RETRY_MS, this.#unavailableUntilMs - nowMs))
    }
    if (this.#shadow) return this.#shadowed()
    return denied(this.#tab === null ? 'cold' : 'empty', COLD_RETRY_MS)
  }

  #shadowed(): TryTaken {
    this.counts.shadow++
    return SHADOWED
  }
  #allowed(): TryTaken {
    this.counts.unavailable++
    return ALLOWED
  }

  // Drawing

  /** It runs low: more comes before it has run out. */
  #ahead(): void {
    if (this.#drawing !== null) return
    const nowMs = this.#core.clocks.monotonicMs()
    if (nowMs - this.#drawnMs < DRAW_EVERY_MS || this.#exhaustedUntilMs > nowMs) return
    this.#draw(this.#advance(), nowMs)
  }

  /** So many more are to be here. */
  #advance(): number {
    const wanted = Math.floor(this.#demandPerMs * AHEAD_MS)
    const most = this.#limit > 0 ? Math.max(1, Math.floor(this.#limit / 2)) : wanted
    return Math.max(0, Math.min(wanted, most) - this.peek())
  }

  #measure(nowMs: number): void {
    const elapsedMs = nowMs - this.#measuredMs
    if (elapsedMs < DRAW_EVERY_MS / 2) return
    this.#demandPerMs += DEMAND_SHARE * (this.#asked / elapsedMs - this.#demandPerMs)
    this.#asked = 0
    this.#measuredMs = nowMs
    this.#low = Math.floor((this.#demandPerMs * AHEAD_MS) / 2)
  }

  #draw(tokens: number, nowMs: number): void {
    this.#measure(nowMs)
    if (this.#drawing !== null || this.#unavailableUntilMs > nowMs || this.#closed) return
    this.#drawnMs = nowMs
    const { calls, connections } = this.#core
    let asked: Tab | null = null
    let connection = 0
    const body = () => {
      connection = connections.opened
      asked = this.#tab !== null && this.#tab.connection === connection ? this.#tab : null
      this.#reportedSpent = asked?.spent ?? 0
      const wanted = this.#limit > 0 ? Math.min(tokens, this.#limit) : tokens
      return [this.name, Math.max(1, wanted), asked?.number ?? 0, asked?.spent ?? 0, asked?.returned ?? 0]
    }
    const told = (code: number, fields: readonly unknown[], mark: Mark) => {
      this.#drawing = null
      this.#answered(code, fields, mark, connection)
    }
    const lost = (error: LeaseholdError) => {
      this.#drawing = null
      this.#failed(error)
    }
    this.#drawing = new DrawCall(body, told, lost, this.#waiting.length > 0)
    calls.submit(this.#drawing, nowMs + DRAW_MS_MAX)
  }

  #answered(code: number, fields: readonly unknown[], mark: Mark, connection: number): void {
    const nowMs = this.#core.clocks.monotonicMs()
    if (code !== 0) {
      this.#failed(outcomeError(code, fields))
      return
    }
    const [number, granted, validForMs, retryAfterMs, limit, shadow, whenUnavailable] = fields as DrawnFields
    this.#limit = limit
    this.#shadow = shadow
    this.#whenUnavailable = whenUnavailable
    this.#unavailable = false
    this.#unavailableUntilMs = 0
    this.#exhaustedUntilMs = retryAfterMs > 0 ? nowMs + retryAfterMs : 0
    if (number !== 0) {
      if (this.#tab?.number !== number || this.#tab.connection !== connection) {
        this.#before = this.#tab
        this.#tab = new Tab(number, connection, mark)
      }
      this.#tab.granted(granted, validForMs, this.#core.drift, mark)
    }
    this.#next(nowMs)
  }

  #failed(error: LeaseholdError): void {
    const nowMs = this.#core.clocks.monotonicMs()
    const hopeless = !error.retryable || error.code === 'CLOSED'
    if (hopeless) {
      for (const one of this.#waiting.splice(0)) one.failed(error)
      this.#hold(false)
      return
    }
    this.#unavailable = true
    this.#unavailableUntilMs = nowMs + Math.max(UNAVAILABLE_MS, error.retryAfterMs ?? 0)
    const allow = this.#whenUnavailable === 'allow' || this.#shadow
    if (allow) for (const one of this.#waiting.splice(0)) one.done({ taken: one.tokens, how: this.#allowedHow() })
    else for (const one of this.#waiting.splice(0)) one.failed(error)
    this.#hold(false)
  }

  #allowedHow(): 'unavailable' {
    this.counts.unavailable++
    return 'unavailable'
  }

  // Those who wait

  /** In order: whoever can be served, is; the first who cannot keeps the others behind him. Then more is drawn, or the moment for that awaited. */
  #next(nowMs: number): void {
    const { timeline, wheel } = this.#core
    const waiting = this.#waiting
    while (waiting.length > 0) {
      const [one] = waiting as [Waiting]
      const tab = this.#tab
      const left = tab?.live(timeline) === true ? tab.left : 0
      if (left >= one.tokens || (one.upTo && left > 0)) {
        const taken = Math.min(left, one.tokens)
        tab!.spend(taken)
        waiting.shift()
        one.done({ taken, how: 'exact' })
      } else if (this.#shadow && this.#exhaustedUntilMs > nowMs) {
        waiting.shift()
        this.counts.shadow++
        one.done({ taken: one.tokens, how: 'shadow' })
      } else if (this.#limit > 0 && one.tokens > this.#limit) {
        waiting.shift()
        one.failed(this.#never(one.tokens))
      } else break
    }
    this.#giveUpLate(nowMs)
    if (waiting.length === 0) {
      this.#hold(false)
      wheel.clear(this.#alarm)
      return
    }
    if (this.#exhaustedUntilMs <= nowMs) this.#draw(this.#lacking(), nowMs)
    const soonestMs = Math.min(...waiting.map(({ untilMs }) => untilMs))
    wheel.set(this.#alarm, Math.min(soonestMs, Math.max(nowMs + 1, this.#exhaustedUntilMs || nowMs + DRAW_MS_MAX)))
  }

  /** Whoever cannot have it in time hears so at once. */
  #giveUpLate(nowMs: number): void {
    const hopeMs = Math.max(nowMs, this.#exhaustedUntilMs)
    for (let at = this.#waiting.length - 1; at >= 0; at--) {
      const one = this.#waiting[at]!
      if (one.untilMs > hopeMs) continue
      this.#waiting.splice(at, 1)
      one.failed(this.#exceeded(Math.max(1, hopeMs - nowMs)))
    }
  }

  #lacking(): number {
    let tokens = this.#advance()
    for (const one of this.#waiting) tokens += one.tokens
    return Math.max(1, tokens - this.peek())
  }

  #ring(nowMs: number): void {
    this.#next(nowMs)
  }

  /** The process stays alive while somebody waits, also where no request is under way. */
  #hold(on: boolean): void {
    this.#core.calls.setAwake(this, on)
  }

  #exceeded(retryAfterMs: number): LeaseholdError {
    const detail = `${this.name} is used up for ${Math.ceil(retryAfterMs)} ms; nothing was taken`
    return new LeaseholdError('QUOTA_EXCEEDED', detail, { executed: 'no', retryAfterMs: Math.ceil(retryAfterMs) })
  }

  #never(tokens: number): LeaseholdError {
    const detail = `${tokens} tokens can never be admitted: ${this.name} admits ${this.#limit} at once`
    return new LeaseholdError('INVALID_ARGUMENT', detail, { executed: 'no' })
  }

  #checked<T>(check: () => T): T {
    try {
      return check()
    } catch (error) {
      if (error instanceof RangeError) throw new LeaseholdError('INVALID_ARGUMENT', error.message, { executed: 'no' })
      throw refusedHere(error)
    }
  }
}

function denied(reason: 'empty' | 'cold' | 'unavailable', retryAfterMs: number): TryTaken {
  return { ok: false, reason, retryAfterMs: Math.ceil(retryAfterMs) }
}
