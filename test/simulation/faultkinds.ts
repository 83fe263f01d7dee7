/** Every kind of fault that worlds inject. A run over many seeds in which one of them never happened has failed. */
export const FAULTS = [
  'client link break',
  'client cut off',
  'client cut off one way',
  'link break',
  'link broken by a message',
  'link cut',
  'link cut one way',
  'link delay',
  'member cut off',
  'member cut off one way',
  'leader transfer',
  'leader lost young',
  'crash',
  'crash within',
  'crash within a flush',
  'pause',
  'clock rate',
  'wall clock jump',
  'disk slow',
  'disk EIO',
  'disk ENOSPC',
  'disk hang',
  'disk bit flip',
  'disk tail lost',
  'disk wiped',
  'member joins',
  'member removed',
  /** These come by themselves: a write under way at a crash came about unseen, or an unsynced one is gone; somebody lagged too far. */
  'write came about in a crash',
  'unsynced write lost',
  'snapshot installed',
] as const
export type FaultKind = (typeof FAULTS)[number]

/** How often each was injected. */
export type Injected = Map<FaultKind, number>

/** Those that take more than one member. */
export const BETWEEN_MEMBERS: ReadonlySet<FaultKind> = new Set([
  'link break',
  'link broken by a message',
  'link cut',
  'link cut one way',
  'link delay',
  'member cut off',
  'member cut off one way',
  'leader transfer',
  'leader lost young',
  'disk wiped',
  'member joins',
  'member removed',
])

/** Those that are begun and then strike several times, or never: each strike counts, the beginning does not. */
export const BY_STRIKES: ReadonlySet<FaultKind> = new Set(['link broken by a message', 'leader lost young'])

/** Those that nobody injects on purpose. */
export const BY_THEMSELVES: ReadonlySet<FaultKind> = new Set([
  'write came about in a crash',
  'unsynced write lost',
  'snapshot installed',
])
