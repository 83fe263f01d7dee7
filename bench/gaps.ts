/**
 * How long clients go without an acknowledged write when something happens to the cluster. Each client keeps the moments
 * of its acknowledgements; the gap that an event made is the longest silence that it may have caused.
 */

/** The longest pause between two acknowledgements of a client that ends after the event and begins before its time is over. */
export function gapMs(acknowledgedMs: readonly number[], eventMs: number, untilMs: number): number {
  let longestMs = 0
  for (let i = 1; i < acknowledgedMs.length; i++) {
    const [fromMs, toMs] = [acknowledgedMs[i - 1]!, acknowledgedMs[i]!]
    if (toMs > eventMs && fromMs < untilMs) longestMs = Math.max(longestMs, toMs - fromMs)
  }
  // Whoever has heard nothing since is still waiting.
  const last = acknowledgedMs.at(-1) ?? eventMs
  return last < eventMs ? Math.max(longestMs, untilMs - last) : longestMs
}
