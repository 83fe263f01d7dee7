/**
 * One member's directory: an ordered key-value volume with atomic synced batches, and small plain files beside it.
 * Production: LevelDB and node:fs. The simulated world brings one that loses, tears, flips, fills up and hangs.
 * Every promise may reject; a rejected write leaves the volume in an unknown state, and the process must end.
 */
export type Key = Uint8Array
export type Value = Uint8Array

export interface Disk {
  /**
   * Opens the volume. `create` makes a new one and refuses an existing one; without it a missing one is refused, and so is one
   * that is damaged as a whole. `salvage` opens also that, where it can, for what is left in it.
   */
  openVolume(options: { create: boolean; salvage?: boolean }): Promise<Volume>
  /** The file's bytes, or null where there is no such file. */
  readFile(name: string): Promise<Uint8Array | null>
  /** Replaces the file as a whole: temporary file, fsync, rename, fsync of the directory. */
  replaceFile(name: string, bytes: Uint8Array): Promise<void>
  /** Opens a fixed-size file for writes in place; made (and synced) with `initial` where it is missing and `create` is set. */
  openSlots(name: string, options: { create: boolean; initial: Uint8Array }): Promise<Slots>
  /** Names in the directory, the volume's own folder included. */
  list(): Promise<string[]>
  /** Bytes that this process may still write to the volume, as the system tells. */
  freeBytes(): Promise<number>
  /** Gives up the directory (its lock, too). Safe to call twice. */
  close(): Promise<void>
}

/** A small file that is written in place. */
export interface Slots {
  read(): Promise<Uint8Array>
  /** Null where it is done already. Afterwards the bytes are the caller's again. */
  write(offset: number, bytes: Uint8Array, options: { sync: boolean }): Promise<void> | null
  close(): Promise<void>
}

export interface VolumeRange {
  readonly from: Key
  readonly to: Key
  readonly reverse?: boolean
  readonly chunkRows?: number
}

/** Rows side by side in one buffer: each row's key, then its value, then the next row's key. */
export interface PackedRows {
  readonly bytes: Uint8Array
  /** Two numbers for each row: where its key ends, and where its value ends. */
  readonly ends: Int32Array
}

export interface VolumeReader {
  get(key: Key): Promise<Value | undefined>
  /** Rows with `from <= key < to` in key order, or in reverse, in chunks of at most `chunkRows`. A consistent view of its start. */
  scan(range: VolumeRange): AsyncIterable<readonly (readonly [Key, Value])[]>
}

/** All rows as they stood at one moment, between two batches. */
export interface VolumeView extends VolumeReader {
  /** Safe to call twice. */
  close(): Promise<void>
}

export interface Volume extends VolumeReader {
  /**
   * Rows as `scan` has them, in key order, at a third of its cost: for a million of them. A key that is not UTF-8 comes as another
   * one. Bounds are ASCII.
   */
  scanPacked(range: Omit<VolumeRange, 'reverse'>): AsyncIterable<PackedRows>
  /** Of this very moment. To be closed: as long as it is open, what is replaced stays on disk. */
  view(): VolumeView
  /** A batch under construction. Nothing is visible, or durable, before its commit. */
  batch(): VolumeBatch
  close(): Promise<void>
}

export interface VolumeBatch {
  /** The arrays must not change until the commit is done. */
  put(key: Key, value: Value): void
  del(key: Key): void
  /** Atomic and synced: once it resolves, the batch survives a crash. */
  commit(): Promise<void>
}
