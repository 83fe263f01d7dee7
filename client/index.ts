/** The thin client of Leasehold: leases with fencing tokens, checked locally, renewed on use. */
export type { Bandwidth, ChainedEvent, Duration, ErrorCode, LossReason, QuotaSpec, TakenHow } from '@leasehold/protocol'
export { Client, createClient } from './client.js'
export type { Clocks, Timer } from './clocks.js'
export {
  type Executed,
  LeaseHeldError,
  LeaseholdError,
  LeaseLostError,
  NotTransferredError,
} from './errors.js'
export type { LeadOptions, Work } from './lead.js'
export type { Lease } from './lease.js'
export type { Quota } from './quota.js'
export type {
  Admission,
  AdmitOptions,
  QuotaCounts,
  QuotaInfo,
  QuotaItem,
  QuotaListOptions,
  QuotaPage,
  QuotaWish,
  Taken,
  TakeOptions,
  TopKeys,
  TryTaken,
} from './quotatypes.js'
export type { Dial, Socket, SocketEvents } from './socket.js'
export type {
  AcquireOptions,
  ClientOptions,
  GetOptions,
  HandoverOptions,
  HistoryOptions,
  HistoryPage,
  LeadVerdict,
  LeaseEvent,
  LeaseInfo,
  LeasePage,
  ListOptions,
  TryAcquireOptions,
  WaitOptions,
  WatchOptions,
} from './types.js'
export type { Watch } from './watch.js'
export { systemWorld, type World } from './world.js'
