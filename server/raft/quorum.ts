/** Majorities, of one set of voters or of both during a change (joint consensus). Pure functions. */

/** What a quorum has reached: the highest value that a majority of these has at least. Sorts `values` in place. */
export function majorityReached(values: Float64Array, count: number): number {
  // Sets of voters are small: insertion beats everything, and nothing is allocated.
  for (let i = 1; i < count; i++) {
    const value = values[i]!
    let at = i - 1
    for (; at >= 0 && values[at]! < value; at--) values[at + 1] = values[at]!
    values[at + 1] = value
  }
  return values[count >> 1]!
}

export type Verdict = 'won' | 'lost' | 'open'

/** Of a vote: `say` is true or false of those who have answered, and null of whom an answer may still come from. */
export function verdictOf<Voter>(voters: readonly Voter[], say: (voter: Voter) => boolean | null): Verdict {
  const needed = (voters.length >> 1) + 1
  let granted = 0
  let open = 0
  for (const voter of voters) {
    const said = say(voter)
    if (said === true) granted++
    else if (said === null) open++
  }
  if (granted >= needed) return 'won'
  return granted + open < needed ? 'lost' : 'open'
}

/** Both majorities decide. */
export function jointVerdict(a: Verdict, b: Verdict): Verdict {
  if (a === 'lost' || b === 'lost') return 'lost'
  return a === 'won' && b === 'won' ? 'won' : 'open'
}
