/** Every kind of fault that worlds inject. A run over many seeds in which one of them never happened has failed. */
export const FAULTS = [
  'client link break',
  'client cut off',
  'client cut off one way',
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
] as const
export type FaultKind = (typeof FAULTS)[number]

/** How often each was injected. */
export type Injected = Map<FaultKind, number>
