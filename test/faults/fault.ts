/**
 * A planted fault: one small wrong change of a source, and the tests that must notice it. A check that cannot fail is a
 * defect; here the checks show that they can.
 */

export interface Fault {
  /** Short and unique: `room: what goes wrong`. */
  readonly name: string
  /** The claim of the tests that the fault breaks. */
  readonly claim: string
  /** A source, relative to the repository. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
  /** Sources of the tests that must fail, relative to the repository. */
  readonly tests: readonly string[]
  /** For each of its tests; a run that takes longer counts as noticed. Default: two minutes. */
  readonly timeLimitMs?: number
}

/** The text with the fault in it. Throws where its place is missing or not the only one, or where it changes nothing. */
export function plant(text: string, fault: Pick<Fault, 'name' | 'file' | 'find' | 'replace'>): string {
  const parts = text.split(fault.find)
  if (fault.find === '' || parts.length !== 2) {
    const times = fault.find === '' ? 'everywhere' : `${parts.length - 1} times`
    throw new Error(`${fault.name}: its text stands ${times} in ${fault.file}, not once`)
  }
  if (fault.find === fault.replace) throw new Error(`${fault.name}: it changes nothing`)
  return parts.join(fault.replace)
}

/** Where the build puts a test. */
export function compiled(test: string): string {
  return test.replace(/^test\//, 'test/dist/').replace(/\.ts$/, '.js')
}
