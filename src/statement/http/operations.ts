/** The operations of a REST API: which one a method and a path are, by an OpenAPI document or by a list of path templates. */
import type { Action } from '../../exchange.ts'

/** One thing that can be asked of the API. */
export interface Operation {
  /** What policies call it: the `operationId` of the document, else `GET /customers/{id}`. */
  readonly resource: string
  /** Upper case. */
  readonly method: string
  /** `/customers/{id}` */
  readonly template: string
  /** What it does; by its method, where nobody says otherwise. */
  readonly action: Action
  /** One line for whoever looks for what can be asked. */
  readonly summary?: string
  /** Declared parameters: in the path, and in the query. */
  readonly parameters: readonly OperationParameter[]
  /** Schemas of its JSON answers, of every status. Absent where any answer may be JSON of which nothing is said. */
  readonly answers?: readonly unknown[]
}

export interface OperationParameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required: boolean
}

/** An operation with the values of the parameters in its path. */
export interface Matched {
  readonly operation: Operation
  readonly path: Readonly<Record<string, string>>
}

/** What to do about one template or operation, from the connection's configuration. */
export interface OperationHint {
  /** A `operationId`, or `GET /customers/{id}`. */
  readonly resource: string
  readonly action: Action
}

/** A part of a template: a text that must be so, or a parameter that takes any text. */
type Part = { readonly text: string } | { readonly parameter: string }

interface Route {
  readonly operation: Operation
  readonly parts: readonly Part[]
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** What a method does where nobody says otherwise. One that is not known does what nobody can see: it executes. */
export function actionOf(method: string): Action {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
      return 'read'
    case 'POST':
    case 'PUT':
    case 'PATCH':
      return 'write'
    case 'DELETE':
      return 'delete'
    default:
      return 'execute'
  }
}

/** All operations of one API. */
export class Operations {
  readonly all: readonly Operation[]
  /** What a `$ref` of their schemas points to. */
  readonly resolve: (ref: string) => unknown
  /** By method and number of parts. */
  readonly #routes = new Map<string, Route[]>()

  /** Throws, with words that name it, where two operations could be one request or bear one name. */
  constructor(operations: readonly Operation[], resolve: (ref: string) => unknown = () => undefined) {
    this.resolve = resolve
    this.all = [...operations].sort((a, b) => (a.resource < b.resource ? -1 : 1))
    const names = new Set<string>()
    for (const operation of operations) {
      if (names.has(operation.resource)) throw new Error(`two operations are called \`${operation.resource}\``)
      names.add(operation.resource)
      const parts = partsOf(operation.template)
      const key = `${operation.method} ${parts.length}`
      const routes = this.#routes.get(key) ?? []
      const twin = routes.find((route) => shapeOf(route.parts) === shapeOf(parts))
      if (twin !== undefined) {
        throw new Error(`\`${operation.resource}\` and \`${twin.operation.resource}\` are one request`)
      }
      routes.push({ operation, parts })
      // What is written out goes before what takes anything, part by part.
      routes.sort((a, b) => (shapeOf(a.parts) < shapeOf(b.parts) ? 1 : -1))
      this.#routes.set(key, routes)
    }
  }

  /** `undefined` where the API has no such operation. HEAD is the GET of its path where it has none of its own. */
  match(method: string, segments: readonly string[]): Matched | undefined {
    const found = this.#find(method, segments)
    return found ?? (method === 'HEAD' ? this.#find('GET', segments) : undefined)
  }

  /** The template that a server which minds no case takes the path for, where that is another one than was matched. */
  otherCase({ operation }: Matched, segments: readonly string[]): string | undefined {
    const lower = segments.map((segment) => segment.toLowerCase())
    for (const route of this.#routes.get(`${operation.method} ${segments.length}`) ?? []) {
      const parts = route.parts.map((part) => ('text' in part ? { text: part.text.toLowerCase() } : part))
      if (taken(parts, lower) === undefined) continue
      return route.operation === operation ? undefined : route.operation.template
    }
    return undefined
  }

  /** The methods that a path takes. */
  methodsOf(segments: readonly string[]): readonly string[] {
    return METHODS.filter((method) => this.match(method, segments) !== undefined)
  }

  #find(method: string, segments: readonly string[]): Matched | undefined {
    for (const { operation, parts } of this.#routes.get(`${method} ${segments.length}`) ?? []) {
      const path = taken(parts, segments)
      if (path !== undefined) return { operation, path }
    }
    return undefined
  }
}

function taken(parts: readonly Part[], segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  const values: [string, string][] = []
  for (const [i, part] of parts.entries()) {
    const segment = segments[i] ?? ''
    if ('text' in part) {
      if (part.text !== segment) return undefined
    } else if (segment === '') return undefined
    else values.push([part.parameter, segment])
  }
  return Object.fromEntries(values)
}

/** Sorts texts (`1`) behind parameters (`0`), so that the greatest is the most definite. */
function shapeOf(parts: readonly Part[]): string {
  return parts.map((part) => ('text' in part ? `1${part.text}` : '0')).join('/')
}

const TEMPLATE = /^\/(?:[^{}/?#\s]+|\{[A-Za-z_][\w.-]{0,63}\})?(?:\/(?:[^{}/?#\s]+|\{[A-Za-z_][\w.-]{0,63}\}))*$/

/** Why a template cannot be matched part by part; `undefined` where it can. */
export function templateProblem(template: string): string | undefined {
  if (template.length > 1_024 || !TEMPLATE.test(template)) return 'a path template such as `/customers/{id}`'
  const names = [...template.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name)
  return new Set(names).size === names.length ? undefined : 'a path template that names each parameter once'
}

function partsOf(template: string): readonly Part[] {
  const problem = templateProblem(template)
  if (problem !== undefined) throw new Error(`\`${template}\` is not ${problem}`)
  return template
    .slice(1)
    .split('/')
    .map((part) => (part.startsWith('{') ? { parameter: part.slice(1, -1) } : { text: part }))
}

/** Operations of a list such as `GET /customers/{id}`. Throws with words that name the line. */
export function operationsOfList(lines: readonly string[], hints: readonly OperationHint[] = []): Operations {
  const operations = lines.map((line): Operation => {
    const [method = '', template = '', ...more] = line.split(' ')
    if (!(METHODS as readonly string[]).includes(method) || more.length > 0) {
      throw new Error(`\`${line}\` is not a method and a path template, such as \`GET /customers/{id}\``)
    }
    const parameters = partsOf(template).flatMap((part): OperationParameter[] =>
      'parameter' in part ? [{ name: part.parameter, in: 'path', required: true }] : [],
    )
    return { resource: line, method, template, action: actionOf(method), parameters }
  })
  return hinted(operations, hints)
}

/**
 * Operations of an OpenAPI 3 document, read from JSON or YAML already. Throws with words that name what cannot be read:
 * an API of which a part is not understood is not served.
 */
export function operationsOfDocument(document: unknown, hints: readonly OperationHint[] = []): Operations {
  const root = record(document)
  if (!/^3\.\d/.test(text(root['openapi']))) throw new Error('the document is no OpenAPI 3')
  const paths = record(root['paths'])
  const operations: Operation[] = []
  for (const [template, value] of Object.entries(paths)) {
    const item = resolve(root, value)
    const shared = list(item['parameters'])
    for (const method of METHODS) {
      const written = item[method.toLowerCase()]
      if (written === undefined) continue
      const operation = record(written)
      const parameters = parametersOf(root, [...shared, ...list(operation['parameters'])])
      const id = text(operation['operationId'])
      const summary = text(operation['summary']).slice(0, 200)
      operations.push({
        resource: id === '' ? `${method} ${template}` : id,
        method,
        template,
        action: actionOf(method),
        parameters,
        ...(summary !== '' && { summary }),
        ...answersOf(root, operation['responses']),
      })
    }
  }
  if (operations.length === 0) throw new Error('the document describes no operation')
  return hinted(operations, hints, (ref) => pointed(root, ref))
}

/** Of JSON answers alone; what is not JSON has no paths. */
function answersOf(
  root: Readonly<Record<string, unknown>>,
  responses: unknown,
): { readonly answers?: readonly unknown[] } {
  if (typeof responses !== 'object' || responses === null) return {}
  const schemas: unknown[] = []
  for (const value of Object.values(responses)) {
    const { content } = resolve(root, value)
    for (const [type, media] of Object.entries(content === undefined ? {} : record(content))) {
      const { schema } = record(media)
      if (schema === undefined) return {}
      if (/json/i.test(type)) schemas.push(schema)
    }
  }
  return schemas.length === 0 ? {} : { answers: schemas }
}

/** What `#/components/…` names; `undefined` where there is none, or it is in another document. */
function pointed(root: Readonly<Record<string, unknown>>, ref: string): unknown {
  const steps = /^#\/(.+)$/.exec(ref)?.[1]?.split('/') ?? []
  let at: unknown = steps.length === 0 ? undefined : root
  for (const step of steps) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Readonly<Record<string, unknown>>)[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return at
}

function hinted(
  operations: readonly Operation[],
  hints: readonly OperationHint[],
  refs?: (ref: string) => unknown,
): Operations {
  for (const { resource } of hints) {
    if (!operations.some((operation) => operation.resource === resource)) {
      throw new Error(`an action is given for \`${resource}\`, which is no operation`)
    }
  }
  const actions = new Map(hints.map(({ resource, action }) => [resource, action]))
  return new Operations(
    operations.map((operation) => ({ ...operation, action: actions.get(operation.resource) ?? operation.action })),
    refs,
  )
}

function parametersOf(root: Readonly<Record<string, unknown>>, values: readonly unknown[]): OperationParameter[] {
  const found = new Map<string, OperationParameter>()
  for (const value of values) {
    const parameter = resolve(root, value)
    const place = parameter['in']
    if (place !== 'path' && place !== 'query') continue
    const name = text(parameter['name'])
    found.set(`${place} ${name}`, { name, in: place, required: place === 'path' || parameter['required'] === true })
  }
  return [...found.values()]
}

/** What a `$ref` within the document points at, once; other documents are not read. */
function resolve(root: Readonly<Record<string, unknown>>, value: unknown): Readonly<Record<string, unknown>> {
  const item = record(value)
  const reference = item['$ref']
  if (reference === undefined) return item
  const steps = /^#\/(.+)$/.exec(text(reference))?.[1]?.split('/')
  if (steps === undefined) throw new Error('the document refers to another one: bundle it into one file')
  let at: unknown = root
  for (const step of steps) at = record(at)[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  const found = record(at)
  if (found['$ref'] !== undefined) throw new Error('a reference in the document leads to another reference')
  return found
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Error('the document is not as OpenAPI 3 has it')
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
