/** The project speaks of itself alone: of no machine that it was made on, and of nobody's notes about the making. */
import { type HouseRule, matches } from './rule.js'

// Put together from halves: this file is judged like any other.
const FOREIGN = new RegExp(
  [
    String.raw`(?<![\w.])/(?:wo${'rk'}|ho${'me'}|ro${'ot'}|Us${'ers'})/\w`,
    String.raw`\bissues? #?\d+\b`,
    String.raw`\bco-auth${'ored'}-by\b`,
    String.raw`\blanguage mo${'del'}s?\b`,
    String.raw`\bAI${'-'}generated\b`,
    String.raw`\bas instr${'ucted'}\b`,
    String.raw`\bthe br${'ief'}\b`,
  ].join('|'),
  'gi',
)

export const wordsRule: HouseRule = {
  claim: 'the project speaks of itself alone',
  rule: (_path, text) => matches(text, FOREIGN, (match) => `"${match[0]}" is about something else`),
  planted: [
    { path: 'README.md', text: `see /wo${'rk'}/notes.md` },
    { path: 'server/x/x.ts', text: `const path = '/ho${'me'}/me/data'` },
    { path: 'CHANGELOG.md', text: `as said in iss${'ue'} #12` },
    { path: 'server/x/x.ts', text: `// as instr${'ucted'}` },
  ],
  innocent: [{ path: 'README.md', text: 'a/work/queue, ./home/page, https://example.org/root/x, a tissue 7' }],
}
