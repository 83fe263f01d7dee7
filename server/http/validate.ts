/**
 * Checks requests against the TypeBox schemas that also make the OpenAPI document, and says what is wrong by the field's
 * name. Must never change a value, but for the numbers of a query string.
 */
import { ProtocolError } from '@leasehold/protocol'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

/** What is known of an error of typebox; the rest of it depends on its keyword. */
interface Fault {
  readonly keyword: string
  readonly instancePath: string
  readonly params: object
  readonly message: string
}

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema)
  return (value: unknown) => {
    const judged = httpPart === 'querystring' ? numbered(value, schema) : value
    if (check.Check(judged)) return { value: judged }
    return { error: new ProtocolError('INVALID_ARGUMENT', explain(check.Errors(judged), httpPart ?? 'body')) }
  }
}

/** Query strings know no numbers: whole ones are made where the schema asks for one. Anything else is left to be refused. */
function numbered(query: unknown, schema: TSchema): unknown {
  const { properties } = schema as { properties?: Readonly<Record<string, { type?: unknown }>> }
  if (typeof query !== 'object' || query === null || properties === undefined) return query
  const judged: Record<string, unknown> = { ...query }
  for (const [name, { type }] of Object.entries(properties)) {
    const value = judged[name]
    if (type === 'integer' && typeof value === 'string' && /^-?\d{1,16}$/.test(value)) judged[name] = Number(value)
  }
  return judged
}

function explain(faults: readonly Fault[], part: string): string {
  const kind = part === 'querystring' ? 'query parameter' : 'field'
  for (const { keyword, params } of faults) {
    if (keyword === 'additionalProperties' && 'additionalProperties' in params)
      return `unknown ${kind}: ${listed(params.additionalProperties)}`
  }
  for (const { keyword, params } of faults) {
    if (keyword === 'required' && 'requiredProperties' in params)
      return `${kind} is missing: ${listed(params.requiredProperties)}`
  }
  const [first] = faults
  if (first === undefined) return `${part}: is not valid`
  const path = first.instancePath.slice(1).replaceAll('/', '.')
  const about = faults.filter((fault) => fault.instancePath === first.instancePath && fault.keyword !== 'anyOf')
  const types = about.map((fault) => fault.message.replace(/^must be /, ''))
  const says = faults.some((fault) => fault.keyword === 'anyOf') ? `must be ${types.join(' or ')}` : first.message
  return `${path === '' ? part : path} ${says}`
}

function listed(names: unknown): string {
  if (!Array.isArray(names)) return ''
  const shown = names.slice(0, 5).map((name) => JSON.stringify(String(name).slice(0, 64)))
  return names.length > 5 ? `${shown.join(', ')} and ${names.length - 5} more` : shown.join(', ')
}
