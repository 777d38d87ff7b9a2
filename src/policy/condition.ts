/** Conditions: CEL expressions over facts, compiled and type-checked when a policy is loaded. Imports the CEL library alone. */
import { Environment, type ASTNode } from '@marcbachmann/cel-js'
import type { Fact, HttpStatement, Inspected, Statement } from '../exchange.ts'
import { tagsRead } from './columns.ts'
import type { FactTypes, Vocabulary } from './vocabulary.ts'

/** Longest condition, in characters. */
export const MAX_CONDITION_LENGTH = 2_000

/** Facts that the policy engine itself provides; the rest come from plugins. */
export const OWN_FACTS: FactTypes = {
  estimate: { bytes: 'number', known: 'boolean' },
  statement: {
    kind: 'string',
    actions: 'list',
    resources: 'list',
    tables: 'list',
    functions: 'list',
    columns: 'list',
    tags: 'list',
    features: 'list',
  },
  principal: { subject: 'string', issuer: 'string', kind: 'string', groups: 'list', actsFor: 'string' },
}

/** What an HTTP request asks, in CEL's own types. Not there for SQL: a condition that weighs it fails then. */
const HTTP = {
  method: 'string',
  operation: 'string',
  template: 'string',
  path: 'map<string, string>',
  query: 'map<string, list<string>>',
  headers: 'map<string, string>',
  contentType: 'string',
  /** The JSON of the body; null where there is none. Not there where it is not JSON, or too large to be kept: nobody knows what it says. */
  body: 'dyn',
} as const

/** Plain text variables that the engine provides. */
export const OWN_VARIABLES = ['connection', 'purpose'] as const

const RESERVED: ReadonlySet<string> = new Set([...OWN_VARIABLES, 'http'])

const CEL_TYPES = { number: 'double', boolean: 'bool', string: 'string', list: 'list<string>' } as const

/** What one condition says of one exchange. A condition that breaks is never taken for false. */
export type Outcome = 'true' | 'false' | 'failed'

export type Condition = (facts: Facts) => Outcome

/** The variables of one exchange, as conditions see them. */
export type Facts = Readonly<Record<string, string | Readonly<Record<string, unknown>>>>

/** A condition that is not accepted: a problem in words, with the character of the expression if there is one. */
export interface Rejected {
  readonly rejected: string
}

/** Makes the compiler for a vocabulary, or says which fact of which plugin clashes. */
export function createCompiler(vocabulary: Vocabulary): ((expression: string) => Condition | Rejected) | Rejected {
  const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 200 } })
  const variables: Record<string, Readonly<Record<string, string>>> = {}
  const owners = Object.entries(vocabulary.plugins).map(
    ([name, plugin]) => [`plugin \`${name}\``, plugin.facts] as const,
  )
  for (const [owner, facts] of [['the gateway', OWN_FACTS] as const, ...owners]) {
    for (const [variable, fields] of Object.entries(facts ?? {})) {
      if (Object.hasOwn(variables, variable) || RESERVED.has(variable)) {
        return { rejected: `facts with names of their own: ${owner} declares \`${variable}\`, which is taken` }
      }
      const unnamable = [variable, ...Object.keys(fields).map((field) => `${variable}.${field}`)].find(
        (name) => !/^[a-z]\w{0,63}(?:\.[a-z]\w{0,63})?$/i.test(name),
      )
      if (unnamable !== undefined) {
        return {
          rejected: `facts with names of their own: ${owner} declares \`${unnamable}\`, which no condition could name`,
        }
      }
      variables[variable] = Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, CEL_TYPES[type]]))
    }
  }
  try {
    for (const [name, schema] of Object.entries(variables)) environment.registerVariable({ name, schema })
  } catch {
    return { rejected: 'facts with names of their own: a plugin declares one that CEL keeps for itself' }
  }
  for (const name of OWN_VARIABLES) environment.registerVariable(name, 'string')
  environment.registerVariable({ name: 'http', schema: HTTP })
  allowMixedNumbers(environment)
  return (expression) => compile(environment, expression)
}

/** CEL compares double with int already; `risk.score == 60` and `estimate.bytes / 2` should work as well. */
function allowMixedNumbers(environment: Environment): void {
  for (const [left, right] of [
    ['double', 'int'],
    ['int', 'double'],
  ] as const) {
    environment.registerOperator(`${left} + ${right}`, (a, b) => Number(a) + Number(b))
    environment.registerOperator(`${left} - ${right}`, (a, b) => Number(a) - Number(b))
    environment.registerOperator(`${left} * ${right}`, (a, b) => Number(a) * Number(b))
    environment.registerOperator(`${left} / ${right}`, (a, b) => Number(a) / Number(b))
  }
  // The library derives `!=` and the swapped form from this one.
  environment.registerOperator('double == int', (a, b) => Number(a) === Number(b))
}

function compile(environment: Environment, expression: string): Condition | Rejected {
  if (expression.length > MAX_CONDITION_LENGTH) return { rejected: `at most ${MAX_CONDITION_LENGTH} characters` }
  const checked = environment.check(expression)
  if (!checked.valid) {
    const error = checked.error
    const range = error !== undefined && 'range' in error ? error.range : undefined
    const place = range === undefined ? '' : ` (character ${range.start + 1})`
    const summary = error !== undefined && 'summary' in error ? error.summary : 'not an expression'
    return { rejected: `a condition in CEL: ${summary.slice(0, 200)}${place}` }
  }
  if (checked.type !== 'bool') return { rejected: `a condition that is true or false; this one is a ${checked.type}` }
  const program = environment.parse(expression)
  const unbounded = findUnbounded(program.ast, false)
  if (unbounded !== undefined) return { rejected: unbounded }
  return (facts) => {
    try {
      const result: unknown = program(facts)
      if (result === true) return 'true'
      return result === false ? 'false' : 'failed'
    } catch {
      return 'failed'
    }
  }
}

const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** What could take long on names that an agent chooses: regular expressions, and loops within loops. */
function findUnbounded(node: ASTNode, inLoop: boolean): string | undefined {
  const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : undefined
  if (name === 'matches') {
    return 'no `matches`: a regular expression has no bound on its time (use `startsWith`, `endsWith` or `contains`)'
  }
  const loop = node.op === 'rcall' && LOOPS.has(node.args[0])
  if (loop && inLoop) return 'no loop within a loop'
  for (const child of childrenOf(node.args)) {
    const found = findUnbounded(child, inLoop || loop)
    if (found !== undefined) return found
  }
  return undefined
}

function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf)
  return isNode(args) ? [args] : []
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

/**
 * The facts of an exchange. A finding that states a fact which its plugin does not declare, or states one twice and
 * differently, or in another type, is named: nothing may be decided on it.
 */
export function factsOf(
  exchange: Inspected,
  vocabulary: Vocabulary,
): { readonly facts: Facts; readonly refused?: string } {
  const { statement, principal, findings } = exchange
  const stated: Record<string, Record<string, Fact>> = {}
  for (const finding of findings) {
    const plugin = finding.kind.slice(0, Math.max(0, finding.kind.indexOf('/')))
    const declared = Object.hasOwn(vocabulary.plugins, plugin) ? (vocabulary.plugins[plugin]?.facts ?? {}) : {}
    for (const [variable, fields] of Object.entries(finding.facts ?? {})) {
      for (const [field, value] of Object.entries(fields)) {
        const types = Object.hasOwn(declared, variable) ? declared[variable] : undefined
        const type = types !== undefined && Object.hasOwn(types, field) ? types[field] : undefined
        const known = stated[variable]?.[field]
        if (type === undefined || !hasType(value, type) || (known !== undefined && !sameFact(known, value))) {
          return { facts: {}, refused: `${variable}.${field}` }
        }
        stated[variable] = { ...stated[variable], [field]: value }
      }
    }
  }
  const own: Facts = {
    ...factsOfStatement(statement),
    principal: {
      subject: principal.subject,
      issuer: principal.issuer,
      kind: principal.kind,
      groups: principal.groups,
      actsFor: principal.actsFor?.subject ?? '',
    },
    connection: exchange.connection,
    purpose: exchange.purpose ?? '',
  }
  return { facts: { ...stated, ...own } }
}

function factsOfStatement(statement: Statement): Facts {
  const { kind, uses } = statement
  const common = {
    kind,
    actions: unique(uses.map((use) => use.action)),
    resources: unique(uses.map((use) => use.resource)),
  }
  if (statement.language === 'http') {
    const none = { tables: [], functions: [], columns: [], tags: [], features: [] }
    return { estimate: { known: false }, statement: { ...common, ...none }, http: factsOfHttp(statement) }
  }
  const { estimate, tables, functions, columnsRead, features } = statement
  return {
    estimate: estimate === undefined ? { known: false } : { known: true, bytes: estimate.bytes },
    statement: {
      ...common,
      tables: unique(tables.map((table) => table.resource)),
      functions,
      columns: columnsRead,
      tags: tagsRead(statement),
      features: unique(features.map((feature) => feature.name)),
    },
  }
}

/** Read as conditions read them: an exchange that is recalled from a record need not have every one, and throws then. */
function factsOfHttp(statement: HttpStatement) {
  const { kind, operation, template, path, query, body } = statement
  const parameters = Map.groupBy(query, ([name]) => name)
  const facts = {
    method: kind,
    operation,
    template,
    path: new Map(Object.entries(path)),
    query: new Map(Array.from(parameters, ([name, values]) => [name, values.map(([, value]) => value)])),
    get headers() {
      return new Map(statement.headers)
    },
    contentType: body?.type ?? '',
  }
  if (body !== undefined && !('json' in body)) return facts
  const said = { enumerable: true, get: (): unknown => (body === undefined ? null : body.json) }
  return Object.defineProperty(facts, 'body', said)
}

function hasType(value: Fact, type: FactTypes[string][string]): boolean {
  switch (type) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'string':
      return typeof value === 'string'
    case 'list':
      return Array.isArray(value) && value.every((item) => typeof item === 'string')
  }
}

function sameFact(a: Fact, b: Fact): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)]
}
