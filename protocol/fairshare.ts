/**
 * Weighted max-min fairness over whole tokens: nobody has more than he wants, and whoever has less than that has as much per weight as
 * anybody has. By filling with water: those who want least per weight are served first, the rest share what is left (Bertsekas and
 * Gallager, Data Networks, 6.5.2). What does not divide goes one by one to the largest remainders, the first of equal ones.
 */

/** `wants` and `weights` are whole numbers, weights from 1. The shares add up to what is available, or to all that is wanted where that is less. */
export function share(available: number, wants: readonly number[], weights: readonly number[]): number[] {
  const shares = new Array<number>(wants.length).fill(0)
  const order = wants.map((_, at) => at).filter((at) => wants[at]! > 0)
  order.sort((a, b) => compared(wants[a]!, weights[b]!, wants[b]!, weights[a]!) || a - b)
  let left = available
  let weight = 0
  for (const at of order) weight += weights[at]!
  let served = 0
  for (; served < order.length; served++) {
    const at = order[served]!
    // All of the rest want at least as much per weight: where this one cannot have all, none of them can.
    if (compared(wants[at]!, weight, left, weights[at]!) > 0) break
    shares[at] = wants[at]!
    left -= wants[at]!
    weight -= weights[at]!
  }
  divide(left, order.slice(served), weight, weights, shares)
  return shares
}

/** Nobody of these can have all: each as much as its weight. */
function divide(
  left: number,
  among: readonly number[],
  weight: number,
  weights: readonly number[],
  shares: number[],
): void {
  const rests: { readonly at: number; readonly rest: number }[] = []
  let over = left
  for (const at of among) {
    const { whole, rest } = part(left, weights[at]!, weight)
    shares[at] = whole
    over -= whole
    rests.push({ at, rest })
  }
  rests.sort((a, b) => b.rest - a.rest || a.at - b.at)
  for (const { at } of rests.slice(0, over)) shares[at]!++
}

/** left x own / all, whole, and what remains of the division. */
function part(left: number, own: number, all: number): { readonly whole: number; readonly rest: number } {
  const product = left * own
  if (product <= Number.MAX_SAFE_INTEGER) {
    const whole = Math.floor(product / all)
    return { whole, rest: product - whole * all }
  }
  const exact = BigInt(left) * BigInt(own)
  return { whole: Number(exact / BigInt(all)), rest: Number(exact % BigInt(all)) }
}

/** a x b - c x d, or its sign where numbers are too large for it. */
function compared(a: number, b: number, c: number, d: number): number {
  const one = a * b
  const other = c * d
  if (one <= Number.MAX_SAFE_INTEGER && other <= Number.MAX_SAFE_INTEGER) return one - other
  const exact = BigInt(a) * BigInt(b) - BigInt(c) * BigInt(d)
  return exact > 0n ? 1 : exact < 0n ? -1 : 0
}
