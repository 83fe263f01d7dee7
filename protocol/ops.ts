/** Operation and class numbers of the wire and the log. Numbers are never reused. */

/** What a client may ask for. */
export const OP = {
  acquire: 1,
  renew: 2,
  release: 3,
  transfer: 4,
  revoke: 5,
  cancelWait: 6,
  quotaSet: 7,
  quotaDelete: 8,
  get: 16,
  list: 17,
  history: 18,
  watch: 19,
  unwatch: 20,
  time: 21,
  take: 22,
  draw: 23,
  quotaGet: 24,
  quotaList: 25,
  quotaTop: 26,
} as const

/** What only members put into the log. */
export const INTERNAL_OP = {
  beat: 64,
  sweep: 65,
  admitRun: 66,
  waiterLost: 67,
  trimAudit: 68,
  raiseTokens: 69,
  configure: 70,
  allocate: 71,
} as const

export type Op = (typeof OP)[keyof typeof OP]
export type InternalOp = (typeof INTERNAL_OP)[keyof typeof INTERNAL_OP]

/** Classes of work, the most urgent first (the order in which a busy member serves them). */
export const CLASS = { renew: 1, release: 2, retried: 3, acquire: 4, read: 5, staleRead: 6, audit: 7 } as const
export type WorkClass = (typeof CLASS)[keyof typeof CLASS]

/** The class that a request of this kind belongs to. */
export function classOf(op: Op, attempt: number): WorkClass {
  switch (op) {
    case OP.renew:
      return CLASS.renew
    case OP.release:
    case OP.transfer:
    case OP.cancelWait:
      return CLASS.release
    case OP.acquire:
    case OP.revoke:
    case OP.quotaSet:
    case OP.quotaDelete:
    case OP.take:
    case OP.draw:
      return attempt > 1 ? CLASS.retried : CLASS.acquire
    case OP.get:
    case OP.time:
    case OP.quotaGet:
      return CLASS.read
    case OP.list:
    case OP.watch:
    case OP.unwatch:
    case OP.quotaList:
    case OP.quotaTop:
      return CLASS.staleRead
    case OP.history:
      return CLASS.audit
  }
}
