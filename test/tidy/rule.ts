/** What a rule of the house is: a function of one file that says where the file breaks it. */

export interface Finding {
  readonly line: number
  readonly says: string
}

/** `path` is relative to the repository, with forward slashes. */
export type Rule = (path: string, text: string) => Finding[]

export interface Sample {
  readonly path: string
  readonly text: string
}

/** A rule with what it must find, so that a rule that finds nothing any more is itself found out. */
export interface HouseRule {
  readonly claim: string
  readonly rule: Rule
  readonly planted: readonly Sample[]
  readonly innocent: readonly Sample[]
}

/** Every match of `pattern` (with the flag g), as a finding. */
export function matches(text: string, pattern: RegExp, says: (match: RegExpExecArray) => string): Finding[] {
  return [...text.matchAll(pattern)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    says: says(match),
  }))
}

export const isSource = (path: string) => /\.(?:ts|mts|mjs)$/.test(path)
export const isTest = (path: string) => path.startsWith('test/')
