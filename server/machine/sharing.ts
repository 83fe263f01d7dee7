/**
 * Who gets how much of what there is: from the top of each tree of quotas down. A quota's tokens are shared among its children, each as one
 * that wants what all below it want, by weight; what a child is guaranteed comes first. Who draws on a quota itself counts as one
 * more child, of weight 1. Below that, a quota's own claims share by their weights. Exact weighted max-min at every step; nobody gets
 * more than the quota itself and all above it have.
 */
import { share, type Want } from '@leasehold/protocol'
import { availableOf, type Quota } from './quota.js'
import type { Quotas } from './quotas.js'

interface Node {
  readonly quota: Quota
  readonly children: Node[]
  /** Claims on the quota itself: tokens, weight, and which want each is of. */
  readonly counts: number[]
  readonly weights: number[]
  readonly owners: number[]
  /** What all claims here and below can have at most. */
  demand: number
}

const DIRECT_WEIGHT = 1

export class Sharing {
  readonly #quotas: Quotas
  readonly #nodes = new Map<string, Node>()
  readonly #roots: Node[] = []
  #wants = 0

  constructor(quotas: Quotas) {
    this.#quotas = quotas
  }

  /** Wants are numbered from 0 in the order in which they are told. One of a quota that cannot be drawn from gets nothing. */
  want({ quota: name, claims }: Want): void {
    const owner = this.#wants++
    const quota = this.#quotas.get(name)
    if (quota === null || quota.spec.perKey) return
    const node = this.#nodeOf(quota)
    for (const [tokens, weight] of claims) {
      node.counts.push(tokens)
      node.weights.push(weight)
      node.owners.push(owner)
    }
  }

  /** Tokens for each want. */
  shares(): readonly number[] {
    const granted = new Array<number>(this.#wants).fill(0)
    for (const root of this.#roots) {
      measure(root)
      hand(root, root.demand, granted)
    }
    return granted
  }

  #nodeOf(quota: Quota): Node {
    const known = this.#nodes.get(quota.name)
    if (known !== undefined) return known
    const node: Node = { quota, children: [], counts: [], weights: [], owners: [], demand: 0 }
    this.#nodes.set(quota.name, node)
    const [, parent] = this.#quotas.chain(quota)
    if (parent === undefined) this.#roots.push(node)
    else this.#nodeOf(parent).children.push(node)
    return node
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)

/** From the leaves up: nobody asks for more than there can be. */
function measure(node: Node): void {
  let wanted = sum(node.counts)
  for (const child of node.children) {
    measure(child)
    wanted += child.demand
  }
  node.demand = Math.min(wanted, availableOf(node.quota))
}

/** So many tokens, no more than are wanted here and below. */
function hand(node: Node, tokens: number, granted: number[]): void {
  const { children } = node
  const direct = Math.min(sum(node.counts), tokens)
  const demands = [...children.map(({ demand }) => demand), direct]
  const base = tokens < node.demand ? tokens : availableOf(node.quota)
  const first = children.map(({ quota, demand }) => Math.min(demand, floorPercent(base, quota.spec.guaranteedPercent)))
  const left = tokens - sum(first)
  const more = demands.map((demand, at) => {
    const child = children[at]
    return child === undefined ? demand : child.quota.spec.borrow ? demand - first[at]! : 0
  })
  const rest = share(left, more, [...children.map(({ quota }) => quota.spec.weight), DIRECT_WEIGHT])
  for (const [at, child] of children.entries()) hand(child, first[at]! + rest[at]!, granted)
  const own = share(rest[children.length]!, node.counts, node.weights)
  for (const [at, owner] of node.owners.entries()) granted[owner]! += own[at]!
}

/** Exact: percent x tokens stays below 2^53 for any bucket. */
const floorPercent = (tokens: number, percent: number): number => Math.floor((tokens * percent) / 100)
