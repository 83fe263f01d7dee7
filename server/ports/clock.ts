/** Time as rooms get it. Production wires real clocks in; the simulated world wires its own. */
export interface Clock {
  /** Milliseconds with fractions; never goes back; may stand still while the machine sleeps. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. For people only. */
  wallMs(): number
  /** Calls `task` once after at least `delayMs`, unless the returned function is called first. Does not keep a process alive. */
  after(delayMs: number, task: () => void): () => void
  /** Calls `task` about every `periodMs`, until the returned function is called. Does not keep a process alive. */
  every(periodMs: number, task: () => void): () => void
  /** Calls `task` once what runs now has come to its end, before anything else that has arrived is looked at. */
  next(task: () => void): void
  /** Calls `task` once this turn of the loop has handled what had already arrived. */
  soon(task: () => void): void
}
