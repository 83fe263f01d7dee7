/** Limits and paces of the links between members, and the relations between them, asserted at import. */

const KIB = 1_024
const MIB = 1_048_576

export const PEER_LIMITS = {
  /** Of one message. Sending a longer one is the caller's error; receiving one ends the link. */
  frameBytesMax: 8 * MIB,
  /** Of one greeting, a question or an answer while a cluster is formed included. */
  greetingBytesMax: 64 * KIB,
  nameBytesMax: 512,

  // What waits for the way out, per link: messages and bytes of each channel, those handed to the system and not yet taken included.
  raftMessagesMax: 4_096,
  raftBytesMax: 16 * MIB,
  forwardMessagesMax: 4_096,
  forwardBytesMax: 16 * MIB,
  bulkMessagesMax: 64,
  bulkBytesMax: 16 * MIB,
  /** Handed to the system in one go, a last frame aside: what a late vote may stand behind. */
  flushBytesMax: MIB,
  /** Shorter messages are copied together, longer ones go out as they are. */
  copyBytesMax: 2 * KIB,

  // connections
  peersMax: 32,
  /** Connections that have not shown who they are, or are being turned away. */
  strangersMax: 64,
  greetingMsMax: 1_000,
  dialMsMax: 600,

  // a link's life
  /** A link on which nothing else was sent for so long says that it is there. */
  pingMs: 50,
  /** One on which nothing came for so long is dead. Below the longest election timeout. */
  silenceMsMax: 500,

  // another try: from the first pause, doubled up to the last, each drawn between half and all of it
  retryMsMin: 20,
  retryMsMax: 400,
  /** After a word that trying again soon will not help. */
  refusedRetryMs: 1_000,
  /** A link that lived for so long is followed by a first try, else by the next one. */
  stableMs: 1_000,

  // complaints about others
  complaintEveryMs: 30_000,
  complaintsMax: 64,

  // forming a cluster
  formingRoundMs: 100,
  strangerRoundMs: 1_000,
} as const

export type PeerLimits = { readonly [K in keyof typeof PEER_LIMITS]: number }

/** Throws RangeError where limits disagree. */
export function assertPeerLimits(l: PeerLimits): void {
  const channelBytesMin = Math.min(l.raftBytesMax, l.forwardBytesMax, l.bulkBytesMax)
  const relations: [boolean, string][] = [
    [channelBytesMin >= 2 * l.frameBytesMax, 'the next frame gathers while the longest one goes out'],
    [l.flushBytesMax <= channelBytesMin, 'one flush does not empty every channel at once'],
    [l.copyBytesMax < l.flushBytesMax, 'what is copied together is short'],
    [
      3 * l.nameBytesMax * l.peersMax <= l.greetingBytesMax,
      'a greeting has room for the names of all peers, and the first entry',
    ],
    [l.pingMs * 4 <= l.silenceMsMax, 'a lost ping or two is no death'],
    [l.silenceMsMax <= l.greetingMsMax, 'who answers greetings is not too slow for a link'],
    [l.peersMax < l.strangersMax, 'all peers may greet at once'],
    [l.retryMsMin <= 50, 'a restarted member is found again within a tenth of a second'],
    [l.retryMsMin <= l.retryMsMax && l.retryMsMax <= l.refusedRetryMs, 'pauses grow'],
    [l.formingRoundMs <= l.strangerRoundMs, 'a stranger asks less often than a founder'],
  ]
  for (const [holds, claim] of relations) if (!holds) throw new RangeError(`peer limits disagree: ${claim}`)
}

assertPeerLimits(PEER_LIMITS)
