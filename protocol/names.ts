/** Names of leases, holders and clients: 1 to 255 bytes of `A-Z a-z 0-9 . _ : @ / -`, no empty, `.` or `..` segment. */

/** Returns the name, or throws ProtocolError INVALID_ARGUMENT that names `field` and what is wrong. */
export function checkName(value: unknown, field: string): string {
  throw new Error(`not built: ${value} ${field}`)
}

/** Like checkName, for a prefix of names: may be empty, may end in `/`. */
export function checkPrefix(value: unknown, field: string): string {
  throw new Error(`not built: ${value} ${field}`)
}
