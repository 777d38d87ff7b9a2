/** JSON_SET and JSON_REMOVE on JSON text, span by span, so that numbers beyond a double's precision stay as they are. */

interface Span {
  readonly start: number
  readonly end: number
}

type Steps = readonly (string | number)[]

const isSpace = (unit: string | undefined): boolean => unit === ' ' || unit === '\n' || unit === '\r' || unit === '\t'

function skip(json: string, at: number): number {
  let next = at
  while (isSpace(json[next])) next++
  return next
}

function endOfString(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}

/** Where the value that starts here ends. The text is valid JSON. */
function endOfValue(json: string, start: number): number {
  const first = json[start]
  if (first === '"') return endOfString(json, start)
  if (first !== '{' && first !== '[') {
    let at = start
    while (at < json.length && !',]}'.includes(json[at] ?? '') && !isSpace(json[at])) at++
    return at
  }
  let depth = 0
  for (let at = start; at < json.length; at++) {
    const unit = json[at]
    if (unit === '"') at = endOfString(json, at) - 1
    else if (unit === '{' || unit === '[') depth++
    else if ((unit === '}' || unit === ']') && --depth === 0) return at + 1
  }
  return json.length
}

/** The members of the object or items of the array that starts here, in order. */
function members(json: string, start: number): { key: string | number; whole: Span; value: Span }[] {
  const found: { key: string | number; whole: Span; value: Span }[] = []
  const object = json[start] === '{'
  let at = skip(json, start + 1)
  while (json[at] !== '}' && json[at] !== ']') {
    const from = at
    let key: string | number = found.length
    if (object) {
      const end = endOfString(json, at)
      key = JSON.parse(json.slice(at, end)) as string
      at = skip(json, skip(json, end) + 1)
    }
    const end = endOfValue(json, at)
    found.push({ key, whole: { start: from, end }, value: { start: at, end } })
    at = skip(json, end)
    if (json[at] === ',') at = skip(json, at + 1)
  }
  return found
}

const splice = (json: string, span: Span, text: string): string =>
  json.slice(0, span.start) + text + json.slice(span.end)

/**
 * BigQuery's JSON_SET for one path: replaces the value, makes it (and what is missing before it) if `create`, and leaves
 * the document alone where the path crosses a value of another kind.
 */
export function jsonSet(json: string, steps: Steps, value: string, create: boolean): string {
  let span: Span = { start: skip(json, 0), end: json.trimEnd().length }
  for (const [depth, step] of steps.entries()) {
    const rest = steps.slice(depth + 1)
    const wanted = typeof step === 'string' ? '{' : '['
    const first = json[span.start]
    if (json.slice(span.start, span.end) === 'null')
      return create ? splice(json, span, built(steps.slice(depth), value)) : json
    if (first !== wanted) return json
    const all = members(json, span.start)
    const found = all.find((member) => member.key === step)
    if (!found) {
      if (!create) return json
      const fill = typeof step === 'number' ? Array.from({ length: step - all.length }, () => 'null') : []
      const item = built(rest, value)
      const added = [...fill, typeof step === 'string' ? `${JSON.stringify(step)}:${item}` : item].join(',')
      const last = all.at(-1)
      const at = last?.whole.end ?? span.start + 1
      return splice(json, { start: at, end: at }, (last ? ',' : '') + added)
    }
    span = found.value
  }
  return splice(json, span, value)
}

function built(steps: Steps, value: string): string {
  return steps.reduceRight<string>(
    (inner, step) =>
      typeof step === 'string' ? `{${JSON.stringify(step)}:${inner}}` : `[${'null,'.repeat(step)}${inner}]`,
    value,
  )
}

/** BigQuery's JSON_REMOVE for one path. */
export function jsonRemove(json: string, steps: Steps): string {
  let span: Span = { start: skip(json, 0), end: json.trimEnd().length }
  for (const [depth, step] of steps.entries()) {
    if (json[span.start] !== (typeof step === 'string' ? '{' : '[')) return json
    const all = members(json, span.start)
    const at = all.findIndex((member) => member.key === step)
    const found = all[at]
    if (!found) return json
    if (depth === steps.length - 1) {
      const next = all[at + 1]
      const before = all[at - 1]
      if (next) return splice(json, { start: found.whole.start, end: next.whole.start }, '')
      return splice(json, { start: before?.whole.end ?? found.whole.start, end: found.whole.end }, '')
    }
    span = found.value
  }
  return json
}
