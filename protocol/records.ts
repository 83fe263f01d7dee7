/**
 * Commands and events as the log and the audit hold them: MessagePack arrays, op first. What is read back was checked
 * by storage (CRC, chain), yet a shape that this version does not know throws and never guesses.
 */
import type { Command } from './commands.js'
import type { AuditEvent } from './events.js'

/** One batch of commands, one byte string. */
export function encodeCommands(commands: readonly Command[]): Uint8Array {
  throw new Error(`not built ${commands}`)
}
export function decodeCommands(bytes: Uint8Array): Command[] {
  throw new Error(`not built ${bytes}`)
}

/** The canonical form of an event: what the audit's hash chain covers, byte for byte, in every language. */
export function eventFields(event: AuditEvent): readonly unknown[] {
  throw new Error(`not built ${event}`)
}
export function eventFromFields(fields: readonly unknown[]): AuditEvent {
  throw new Error(`not built ${fields}`)
}
/** MessagePack of eventFields. */
export function eventBytes(event: AuditEvent): Uint8Array {
  throw new Error(`not built ${event}`)
}

/** `clusterId.seq`. */
export function encodeCursor(clusterId: string, seq: number): string {
  throw new Error(`not built ${clusterId} ${seq}`)
}
/** Throws ProtocolError INVALID_ARGUMENT (no cursor at all) or CURSOR_COMPACTED (of another cluster). */
export function decodeCursor(cursor: string, clusterId: string): number {
  throw new Error(`not built ${cursor} ${clusterId}`)
}
