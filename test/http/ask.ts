/**
 * Asks an app over real HTTP and holds every answer to the interface's own description: the path, the status and the
 * body must be in /openapi.json. An answer that the document does not know fails the test, whatever the test looks at.
 */
import type { Test } from 'tap'
import { Compile } from 'typebox/schema'
import type { Served } from '../support/member.js'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

export type Ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { responses?: Readonly<Record<string, Content>> }>>>>
}
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
}

/** What is wrong with an answer by the document, or null. */
export type Judge = (method: string, path: string, status: number, type: string, body: unknown) => string | null

export function judgeBy(document: Described): Judge {
  const checks = new Map<object, ReturnType<typeof Compile>>()
  return (method, path, status, type, body) => {
    const schema = schemaOf(document, method, path, status, type)
    if (schema === null) return `${method} ${path}: ${status} ${type} is not described`
    let check = checks.get(schema)
    if (check === undefined) {
      check = Compile(schema)
      checks.set(schema, check)
    }
    return check.Check(body) ? null : `${method} ${path}: ${status} is not as described: ${JSON.stringify(body)}`
  }
}

export async function documentOf(served: Served): Promise<Described> {
  return (await (await fetch(`${served.url}/openapi.json`)).json()) as Described
}

export async function asker(t: Test, served: Served): Promise<Ask> {
  const judge = judgeBy(await documentOf(served))
  return async (method, path, body, headers = {}) => {
    const response = await fetch(served.url + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    })
    const answer = (await response.json()) as Answer['body']
    const type = response.headers.get('content-type')?.replace(/;.*$/, '') ?? ''
    const wrong = judge(method, path, response.status, type, answer)
    if (wrong !== null) t.fail(wrong)
    return { status: response.status, headers: response.headers, body: answer }
  }
}

function schemaOf(document: Described, method: string, path: string, status: number, type: string): object | null {
  const plain = path.replace(/\?.*$/, '')
  const template = Object.keys(document.paths).find(
    (each) =>
      new RegExp(`^${each.replaceAll(/\{[a-z]+\}/g, '[^/]+')}$`).test(plain) &&
      document.paths[each]?.[method.toLowerCase()] !== undefined,
  )
  const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()]
  return operation?.responses?.[status]?.content?.[type]?.schema ?? null
}
