/** A machine with quotas as tests like to speak of them: members that were admitted, what they draw and report. */
import {
  type Bandwidth,
  type Claim,
  type Command,
  type Draw,
  INTERNAL_OP,
  logIndex,
  OP,
  QUOTA_DEFAULTS,
  type QuotaDelete,
  type QuotaSet,
  type QuotaSpec,
  type Reply,
  type RequestToken,
  run,
  type TabReport,
} from '@leasehold/protocol'
import type { Applied, DrawOutcome, MachineLimits } from '@leasehold/server/machine'
import { admitRun, Driver } from './driver.js'

export const per = (tokens: number, perMs: number, burst: number): Bandwidth => ({ tokens, perMs, burst })

export const specOf = (bandwidths: readonly Bandwidth[], more: Partial<QuotaSpec> = {}): QuotaSpec => ({
  ...QUOTA_DEFAULTS,
  bandwidths,
  ...more,
})

export const set = (name: string, spec: QuotaSpec, request: RequestToken | null = null): QuotaSet => ({
  op: OP.quotaSet,
  principal: 'operator',
  name,
  spec,
  request,
})

export const remove = (name: string, request: RequestToken | null = null): QuotaDelete => ({
  op: OP.quotaDelete,
  principal: 'operator',
  name,
  request,
})

type Wants = Readonly<Record<string, number | readonly Claim[]>>

export class QuotaWorld extends Driver {
  readonly runs = new Map<string, number>()
  readonly #seqs = new Map<string, number>()
  nowMs = 10_000

  constructor(limits: Partial<MachineLimits> = {}, members: readonly string[] = ['n1', 'n2']) {
    super(limits)
    for (const member of members) this.admit(member)
  }

  /** The member's process starts (again). */
  admit(member: string): void {
    this.runs.set(member, this.ask(this.nowMs, admitRun(member)).fields[0] as number)
    this.#seqs.set(member, 0)
  }

  /** At the machine's own time, after all that it has seen. */
  entryOf(command: Command): Applied {
    return this.machine.apply({ ...this.entry(this.machine.timeMs, [command]), index: logIndex(1_000) })
  }

  do(command: Command): Reply {
    return this.ask(this.nowMs, command)
  }

  /** A draw to be executed; each has the next number unless it is told another. */
  of(member: string, wants: Wants, reports: readonly TabReport[] = [], seq?: number): Draw {
    const next = seq ?? this.#seqs.get(member)! + 1
    this.#seqs.set(member, Math.max(next, this.#seqs.get(member)!))
    const list = Object.entries(wants).map(([quota, claims]) => ({
      quota,
      claims: typeof claims === 'number' ? [[claims, 1] as const] : claims,
    }))
    return { member, run: run(this.runs.get(member)!), seq: next, reports, wants: list }
  }

  allocate(...draws: Draw[]): Applied {
    return this.at(this.nowMs, { op: INTERNAL_OP.allocate, draws })
  }

  /** One member draws; the outcomes of its wants. */
  draw(member: string, wants: Wants, reports: readonly TabReport[] = []): readonly DrawOutcome[] {
    return this.allocate(this.of(member, wants, reports)).drawn[0]!.outcomes
  }

  granted(member: string, wants: Wants, reports: readonly TabReport[] = []): number[] {
    return this.draw(member, wants, reports).map(({ granted }) => granted)
  }

  /** What the member would say of its tab of this quota. */
  tab(member: string, quota: string) {
    return this.machine.tabsOf(member).find((one) => one.quota === quota) ?? null
  }

  available(quota: string): number {
    return this.machine.quota(quota)!.available
  }
  outstanding(quota: string): number {
    return this.machine.quota(quota)!.outstanding
  }
}
