import { auditSeq, type ChainedEvent, clusterMs, fencingToken, term, wallMs } from '@leasehold/protocol'

/** An event of the audit as a replica would hand it out; its hashes are made up. */
export const event = (seq: number, name = `n${seq}`): ChainedEvent => ({
  seq: auditSeq(seq),
  type: 'granted',
  name,
  holder: 'h',
  token: fencingToken(seq),
  reason: null,
  cause: 'acquire',
  principal: 'p',
  wallMs: wallMs(0),
  clusterMs: clusterMs(seq),
  member: 'm1',
  term: term(1),
  renewals: 0,
  vacant: false,
  previousHash: '0'.repeat(64),
  hash: '1'.repeat(64),
})
