/**
 * Branded numbers, so that a term is never passed where an index belongs.
 * A brand costs nothing at run time. Never cast outside the place where such a number is born.
 */

declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** Names one grant, for ever. Only grows: 1, 2, 3 ... below 2^53. */
export type FencingToken = Branded<'FencingToken'>
/** A leader's reign. Starts at 1. */
export type Term = Branded<'Term'>
/** Position of an entry in the replicated log. The first entry has index 1; 0 stands for "before the first". */
export type LogIndex = Branded<'LogIndex'>
/** Cluster time: whole milliseconds since the cluster was born, as stamped by its leaders. */
export type ClusterMs = Branded<'ClusterMs'>
/** A wall clock's reading (ms since 1970). For people only: nothing is decided by it. */
export type WallMs = Branded<'WallMs'>
/** Position of an event in the audit. The first event has 1; 0 stands for "before the first". */
export type AuditSeq = Branded<'AuditSeq'>
/** Numbers each start of a member's process, cluster-wide: 1, 2, 3 ... */
export type Run = Branded<'Run'>
/** Names one queued acquire inside the machine. */
export type WaiterId = Branded<'WaiterId'>

export const fencingToken = (n: number) => n as FencingToken
export const term = (n: number) => n as Term
export const logIndex = (n: number) => n as LogIndex
export const clusterMs = (n: number) => n as ClusterMs
export const wallMs = (n: number) => n as WallMs
export const auditSeq = (n: number) => n as AuditSeq
export const run = (n: number) => n as Run
export const waiterId = (n: number) => n as WaiterId
