/**
 * All quotas, what was drawn from them, and who drew last. Tokens come out of every bucket of a quota and of all above it, or out of none;
 * what a tab holds is outstanding in all of them. Time, not the horizon, ends tabs: a grant of tokens is not held up by an election.
 */
import { type ClusterMs, type Draw, MICRO, type QuotaView, type Run } from '@leasehold/protocol'
import { DueQueue } from './due.js'
import type { TabView } from './entry.js'
import type { MachineLimits } from './limits.js'
import type { Members } from './members.js'
import type { MetaTable } from './meta.js'
import { OrderedNames } from './names.js'
import { availableAt, capMicro, checkQuota, type Quota, quotaCodec, refillQuota, untilMs } from './quota.js'
import { type Drawer, drawerCodec, outstandingOf, type Tab, tabCodec, tabKey } from './tab.js'
import { Table } from './table.js'

export class Quotas {
  readonly table = new Table(quotaCodec)
  readonly tabs = new Table(tabCodec)
  readonly drawers = new Table(drawerCodec)
  readonly #limits: MachineLimits
  readonly #meta: MetaTable
  readonly #members: Members
  /** Of those that are not deleted. */
  readonly #names = new OrderedNames()
  readonly #ending = new DueQueue<Tab>((tab) => tab.serial)
  readonly #deleted = new DueQueue<Quota>((quota) => quota.version)
  /** By then every bucket is full, if nothing more is taken. */
  #fullMs = 0

  constructor(limits: MachineLimits, meta: MetaTable, members: Members) {
    this.#limits = limits
    this.#meta = meta
    this.#members = members
  }

  loaded(): void {
    const live: string[] = []
    for (const quota of this.table.values()) {
      if (quota.deleted) {
        quota.endMs = this.#goneMs(quota)
        this.#deleted.add(quota)
      } else live.push(quota.name)
      this.#fills(quota)
    }
    for (const name of live.sort()) this.#names.add(name)
    for (const tab of this.tabs.values()) this.#ending.add(tab)
  }

  /** Null where there is none, or it was deleted. */
  get(name: string): Quota | null {
    const quota = this.table.get(name)
    return quota === undefined || quota.deleted ? null : quota
  }

  /** Those that are not deleted, in no order. */
  *live(): Generator<Quota, void> {
    for (const quota of this.table.values()) if (!quota.deleted) yield quota
  }

  /** Names at or after this one, in order. */
  from(name: string): Generator<string, void> {
    return this.#names.from(name)
  }

  view(quota: Quota): QuotaView {
    const { name, version, spec, outstanding } = quota
    const available = spec.perKey ? 0 : availableAt(quota, this.#meta.row.timeMs)
    return { name, version, spec, available, outstanding }
  }

  /** Something is under way that only time ends. */
  get timed(): boolean {
    return this.tabs.size > 0 || this.#fullMs > this.#meta.row.timeMs
  }

  // The tree

  /** The quota, its parent, and so on. What is deleted takes part for as long as anything of it is outstanding. */
  chain(quota: Quota): readonly Quota[] {
    const chain = [quota]
    for (let { parent } = quota.spec; parent !== null; ) {
      const above = this.table.get(parent)
      if (above === undefined) break
      chain.push(above)
      parent = above.spec.parent
    }
    return chain
  }

  /** As of now, under what held until now: the quota and all above it. */
  refill(quota: Quota): readonly Quota[] {
    const chain = this.chain(quota)
    for (const one of chain) if (refillQuota(one, this.#meta.row.timeMs)) this.table.touch(one)
    return chain
  }

  // Specifications

  /** A fresh row, or one that was deleted comes back. */
  add(quota: Quota): void {
    if (this.table.get(quota.name) === undefined) this.table.insert(quota.name, quota)
    else {
      this.#deleted.remove(quota)
      quota.deleted = false
    }
    this.#names.add(quota.name)
    this.changed(quota)
  }

  /** It was refilled before. */
  changed(quota: Quota): void {
    checkQuota(quota)
    this.#fills(quota)
    this.table.touch(quota)
  }

  remove(quota: Quota): void {
    quota.deleted = true
    this.#names.delete(quota.name)
    quota.endMs = this.#goneMs(quota)
    this.#deleted.add(quota)
    this.changed(quota)
  }

  // Draws

  /** Whether this draw is to be executed; if so, it is the last one now. */
  takes({ member, run, seq }: Draw): boolean {
    if (this.#members.get(member)?.run !== run) return false
    const last = this.drawers.get(member)
    if (last === undefined) {
      this.drawers.insert(member, { saved: 0, change: -1, member, run, seq })
      return true
    }
    if (last.run === run && seq <= last.seq) return false
    last.run = run
    last.seq = seq
    this.drawers.touch(last)
    return true
  }

  lastDrawOf(member: string): number {
    const last = this.drawers.get(member)
    return last !== undefined && this.#members.get(member)?.run === last.run ? last.seq : 0
  }

  /** Of this member's process, those that have not ended. */
  tabsOf(member: string): readonly TabView[] {
    const run = this.#members.get(member)?.run
    const views: TabView[] = []
    for (const { quota, run: of, tab, drawn, spent, returned, endMs } of this.tabs.values()) {
      if (of !== run || endMs <= this.#meta.row.timeMs) continue
      views.push({ quota, member, run: of as Run, tab, drawn, spent, returned, endMs: endMs as ClusterMs })
    }
    return views
  }

  /** A member that is no longer one. Its tabs run out by themselves. */
  forget(member: string): void {
    const drawer: Drawer | undefined = this.drawers.get(member)
    if (drawer !== undefined) this.drawers.remove(member, drawer)
  }

  /** Null where there is none, or its end has come. */
  tab(run: number, quota: string): Tab | null {
    const tab = this.tabs.get(tabKey(run, quota))
    if (tab === undefined) return null
    if (tab.endMs > this.#meta.row.timeMs) return tab
    this.end(tab)
    return null
  }

  /** Tokens leave every bucket of the chain, and are outstanding: the tab is opened, or lasts longer. All of the chain was refilled. */
  grant(chain: readonly Quota[], { member, run, seq }: Draw, tokens: number): Tab {
    const [{ name: quota }] = chain as [Quota]
    for (const one of chain) {
      for (const bucket of one.buckets) bucket.micro -= tokens * MICRO
      one.outstanding += tokens
      this.changed(one)
    }
    const endMs = this.#meta.row.timeMs + this.#limits.quotaGrantMs
    const open = this.tab(run, quota)
    if (open !== null) {
      open.drawn += tokens
      open.endMs = endMs
      this.tabs.touch(open)
      return open
    }
    const serial = ++this.#meta.row.order
    const counts = { drawn: tokens, spent: 0, returned: 0 }
    const tab: Tab = {
      saved: 0,
      change: -1,
      placedMs: 0,
      slot: 0,
      quota,
      member,
      run,
      tab: seq,
      serial,
      ...counts,
      endMs,
    }
    this.tabs.insert(tabKey(run, quota), tab)
    this.#ending.add(tab)
    return tab
  }

  /** What became of tokens, cumulative: never more than were drawn. Spent ones are gone; returned ones flow back. */
  report(tab: Tab, spent: number, returned: number): void {
    const nowSpent = Math.max(tab.spent, Math.min(spent, tab.drawn - tab.returned))
    const nowReturned = Math.max(tab.returned, Math.min(returned, tab.drawn - nowSpent))
    const back = nowReturned - tab.returned
    const settled = nowSpent - tab.spent + back
    if (settled === 0) return
    tab.spent = nowSpent
    tab.returned = nowReturned
    this.tabs.touch(tab)
    this.#settle(tab, settled, back)
  }

  /** Its time is over: what is left of it counts as spent. */
  end(tab: Tab): void {
    const left = outstandingOf(tab)
    // A quota that was deleted may be gone by now, where nothing of it was outstanding.
    if (left > 0) this.#settle(tab, left, 0)
    this.#ending.remove(tab)
    this.tabs.remove(tabKey(tab.run, tab.quota), tab)
  }

  #settle(tab: Tab, settled: number, back: number): void {
    for (const one of this.refill(this.table.get(tab.quota)!)) {
      one.outstanding -= settled
      for (const bucket of one.buckets)
        bucket.micro = Math.min(bucket.micro + back * MICRO, capMicro(bucket.bandwidth, one.outstanding))
      this.changed(one)
    }
  }

  // The sweep

  get due(): boolean {
    const nowMs = this.#meta.row.timeMs
    return this.#ending.peek(nowMs) !== null || this.#deleted.peek(nowMs) !== null
  }

  sweepOne(): void {
    const nowMs = this.#meta.row.timeMs
    const tab = this.#ending.peek(nowMs)
    if (tab !== null) {
      this.end(tab)
      return
    }
    const quota = this.#deleted.peek(nowMs)!
    this.refill(quota)
    if (quota.outstanding > 0 || this.#emptyMs(quota) > 0) {
      quota.endMs = Math.max(nowMs + 1, this.#goneMs(quota))
      return
    }
    this.#deleted.remove(quota)
    this.table.remove(quota.name, quota)
  }

  /** Until it is full again. */
  #emptyMs(quota: Quota): number {
    const buckets = quota.retired.length === 0 ? quota.buckets : [...quota.buckets, ...quota.retired]
    return untilMs({ ...quota, buckets }, ({ burst }) => burst)
  }

  #goneMs(quota: Quota): number {
    return quota.refilledMs + this.#emptyMs(quota) + (quota.outstanding > 0 ? this.#limits.quotaGrantMs : 0)
  }

  #fills(quota: Quota): void {
    this.#fullMs = Math.max(this.#fullMs, quota.refilledMs + this.#emptyMs(quota))
  }
}
