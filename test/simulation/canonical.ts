/**
 * One text for one value, whatever the order of its fields: what came over a wire is compared with what was sent. Written by hand: it is
 * taken of every entry by every member, and sorting within a replacer of JSON.stringify takes several times as long.
 */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  let text = ''
  for (const key of Object.keys(value).sort()) {
    const part: unknown = Reflect.get(value, key)
    if (part !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(part)}`
  }
  return `{${text}}`
}
