/** Bounds of the bench itself, and how its measurements are shaped. Nothing here is a target: those stand in the scenarios. */
export const BENCH = {
  secondsDefault: 5,
  secondsMax: 3_600,
  repeats: 3,
  repeatsMax: 100,
  /** What runs before anything counts, as a share of the measured seconds: code is compiled and caches fill meanwhile. */
  warmShare: 0.5,
  /** Slots of one load: units begun and not finished. */
  inFlightMax: 65_536,
  /** What an open loop may be asked for. */
  ratePerSMax: 1_000_000,
  /** How long a load waits for its last units. What is unfinished then counts with the time it took so far. */
  drainMs: 10_000,
  /** The longest latency that a histogram holds; longer ones count as this. */
  latencyMsMax: 3_600_000,

  /** Connections that a load is spread over: a service has more than one process. */
  connections: 8,
  /** Pending requests of one raw session; a power of two. */
  sessionPendingMax: 8_192,

  /** Samples of each raw limit per measurement; several measurements are pooled in a run. */
  rawSamples: 200,
  rawWarmSamples: 30,
  rawBytes: 100,

  readyMsMax: 60_000,
  stopMsMax: 15_000,
  rssEveryMs: 100,
  serverLogBytesMax: 64 * 1_024,
  /** Functions that a profile's summary lists. */
  profileRowsMax: 25,
} as const
