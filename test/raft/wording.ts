/** Messages, writes and states in the words of the scenarios. */
import type { Configuration, HardState, Message, Raft, Write } from '@leasehold/server/raft'
import { MESSAGE } from '@leasehold/server/raft'
import type { Item } from './cluster.js'

const names = (entries: readonly Item[]) => entries.map(({ index, term }) => ` ${index}@${term}`).join('')
const yes = (granted: boolean) => (granted ? 'yes' : 'no')

export function messageInWords(m: Message<Item>): string {
  switch (m.kind) {
    case MESSAGE.preVote:
      return `pre-vote ${m.term}, last ${m.lastIndex}@${m.lastTerm}`
    case MESSAGE.vote:
      return `vote ${m.term}, last ${m.lastIndex}@${m.lastTerm}${m.transfer ? ', transfer' : ''}`
    case MESSAGE.preVoteReply:
      return `pre-vote-reply ${m.term} ${yes(m.granted)}, commit ${m.commit}@${m.commitTerm}`
    case MESSAGE.voteReply:
      return `vote-reply ${m.term} ${yes(m.granted)}, commit ${m.commit}@${m.commitTerm}`
    case MESSAGE.append:
      return `append ${m.term}, after ${m.previousIndex}@${m.previousTerm}:${names(m.entries)}, commit ${m.commit}`.replace(
        ':,',
        ',',
      )
    case MESSAGE.appendReply:
      return m.accepted
        ? `append-reply ${m.term} yes ${m.index}`
        : `append-reply ${m.term} no ${m.index}, hint ${m.hintIndex}@${m.hintTerm}`
    case MESSAGE.heartbeat:
      return `heartbeat ${m.term}, commit ${m.commit}${m.round > 0 ? `, round ${m.round}` : ''}`
    case MESSAGE.heartbeatReply:
      return `heartbeat-reply ${m.term}${m.round > 0 ? `, round ${m.round}` : ''}`
    case MESSAGE.snapshot:
      return `snapshot ${m.term}, of ${m.index}@${m.lastTerm}`
    case MESSAGE.snapshotReply:
      return `snapshot-reply ${m.term} ${yes(m.installed)} ${m.index}`
    case MESSAGE.timeoutNow:
      return `timeout-now ${m.term}`
    case MESSAGE.readIndex:
      return `read-index ${m.term}, read ${m.read}`
    case MESSAGE.readIndexReply:
      return `read-index-reply ${m.term}, read ${m.read} at ${m.index}`
    case MESSAGE.reminder:
      return `reminder ${m.term}, of ${m.index}@${m.entryTerm}`
    case MESSAGE.lost:
      return `lost ${m.term}, of ${m.index}`
  }
}

export function writeInWords({ hardState, entries }: Write<Item>): string {
  return `writes${hardState === null ? '' : ` term ${hardState.term} vote ${hardState.votedFor ?? '-'}`}${names(entries)}`
}

export function configurationInWords({ voters, outgoing, learners }: Configuration): string {
  return [
    voters.join(' '),
    ...(outgoing.length + learners.length > 0 ? [outgoing.join(' '), learners.join(' ')] : []),
  ].join(' | ')
}

export function stateInWords({ status }: Raft<Item>, hardState: HardState, disk: readonly Item[]): string {
  const { role, term, leader, commit, lastIndex, configuration, progress, lost } = status
  const peers = progress.map(({ peer, state, match, next }) => `, ${peer} ${state} ${match}/${next}`).join('')
  const led = leader !== null && role !== 'leader' ? ` under ${leader}` : ''
  return (
    `${role}${led}${lost === null ? '' : `, lost ${lost.index} of term ${lost.term}`}, term ${term}, commit ${commit}, last ${lastIndex}, [${configurationInWords(configuration)}]${peers};` +
    ` on disk term ${hardState.term} vote ${hardState.votedFor ?? '-'}${names(disk)}`
  )
}
