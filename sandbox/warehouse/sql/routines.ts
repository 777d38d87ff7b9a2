/**
 * Temporary SQL functions. A call is the function's body with the arguments in the parameters' places, each as a value of
 * the parameter's type; what could then mean something else than one call of one function is refused.
 */
import { invalidQuery, unsupported } from '../errors.ts'
import { googleType } from './catalog.ts'
import { Expressions } from './expressions.ts'
import { aggregate, isBuiltIn, isWindow, type Expression } from './functions.ts'
import { type Token } from './lexer.ts'
import { quote, type Scope } from './reader.ts'

interface Parameter {
  readonly name: string
  readonly type: string
}

interface Routine {
  readonly name: string
  readonly parameters: readonly Parameter[]
  readonly returns: string | undefined
  /** The body's tokens: the first, and the bracket behind the last. */
  readonly start: number
  readonly end: number
  /** How often the body names each parameter. */
  readonly uses: ReadonlyMap<string, number>
}

/** Calls in one statement, bodies' own included, and the length of what one comes to. */
const MAX_CALLS = 2_000
const MAX_SQL = 200_000
const VOLATILE = /\b(?:random|uuid)\(/

export abstract class Routines extends Expressions {
  /** A body sees those before it alone. */
  #routines: readonly Routine[] = []
  #calls = 0

  protected isTempFunction(): boolean {
    return (
      this.isWord('CREATE') && (this.isWord('TEMP', 1) || this.isWord('TEMPORARY', 1)) && this.isWord('FUNCTION', 2)
    )
  }

  /** `CREATE TEMP FUNCTION f(a INT64) RETURNS INT64 AS (a + 1);` */
  protected tempFunction(): void {
    this.at += 3
    const token = this.token
    const name = this.name()
    if (isBuiltIn(name.toUpperCase())) throw unsupported(`A function with the name of a function, ${name},`, token)
    if (this.#routines.some((routine) => routine.name === name))
      throw invalidQuery(`Already Exists: Function ${name}`, token)
    const parameters = this.inParens(() => (this.isMark(')') ? [] : this.list(() => this.parameter())))
    const names = parameters.map((parameter) => parameter.name.toLowerCase())
    const twice = names.find((one, at) => names.indexOf(one) < at)
    if (twice !== undefined) throw invalidQuery(`Duplicate argument name ${twice}`, token)
    const returns = this.word('RETURNS') ? this.type() : undefined
    if (!this.isWord('AS')) throw unsupported('A function that is not of SQL', this.token)
    this.at++
    this.need('(')
    const start = this.at
    this.#check(parameters, returns)
    const end = this.at
    const inside = this.tokens.slice(start, end)
    const uses = new Map(names.map((one) => [one, inside.filter((found) => found.text.toLowerCase() === one).length]))
    this.need(')')
    this.need(';')
    this.#routines = [...this.#routines, { name, parameters, returns, start, end, uses }]
  }

  protected parameter(): Parameter {
    const name = this.name()
    if (this.isWord('ANY')) throw unsupported('ANY TYPE', this.token)
    return { name, type: this.type() }
  }

  /** Reads a body once, as if called with values of the parameters' types. */
  #check(parameters: readonly Parameter[], returns: string | undefined): void {
    let depth = 0
    for (let at = this.at; depth >= 0; at++) {
      const token = this.peek(at - this.at)
      if (token.kind === 'end') throw invalidQuery('Syntax error: Expected ")" but got end of script', token)
      if (token.text === '(' && token.kind === 'mark') depth++
      if (token.text === ')' && token.kind === 'mark') depth--
      const word = token.kind === 'name' ? token.text.toUpperCase() : ''
      if (/^(SELECT|WITH|EXISTS)$/.test(word) || (word === 'FROM' && this.tokens[at - 1]?.text === '('))
        throw unsupported('A subquery in a function', token)
      const called = this.tokens[at + 1]?.text === '('
      if (word === 'OVER' || (called && (aggregate(word) !== undefined || isWindow(word))))
        throw unsupported('An aggregate or a window in a function', token)
      if (token.kind === 'parameter' || token.kind === 'position')
        throw unsupported('A query parameter in a function', token)
    }
    const columns = parameters.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${quote(name)}`)
    const from = columns.length === 0 ? '' : `(SELECT ${columns.join(', ')}) AS _arguments`
    const values = parameters.map(({ name }) => `_arguments.${quote(name)}`)
    const token = this.token
    const scope = this.#closed(undefined, parameters, values, from)
    const body = this.#inside(scope, () => this.expression().sql)
    if (!this.isMark(')')) throw this.unexpected('Expected ")"')
    const type = body === 'NULL' ? '"NULL"' : this.typeOf(body, scope)
    if (type === '') throw unsupported('This body of a function', token)
    if (returns !== undefined && !this.#fits(type, returns)) {
      throw invalidQuery(
        `Function declared to return ${googleType(returns)} but the function body produces incompatible type ${googleType(type)}`,
        token,
      )
    }
  }

  #closed(parent: Scope | undefined, parameters: readonly Parameter[], values: readonly string[], from = ''): Scope {
    const implicit = new Map(parameters.map(({ name }, at) => [name.toLowerCase(), values[at] ?? 'NULL']))
    return { parent, aliases: new Set(), implicit, sources: [], from, columns: () => [], closed: true }
  }

  #inside<T>(scope: Scope, inner: () => T): T {
    const before = this.scope
    this.scope = scope
    try {
      return this.deeper(inner)
    } finally {
      this.scope = before
    }
  }

  /** Whether a value of this DuckDB type is one of the other: itself, NULL, or an INT64 that widens. */
  #fits(type: string, to: string): boolean {
    const wanted = googleType(this.typeOf(`CAST(NULL AS ${to})`, undefined))
    if (type === '"NULL"' || googleType(type) === wanted) return true
    return googleType(type) === 'INT64' && ['FLOAT64', 'NUMERIC', 'BIGNUMERIC'].includes(wanted)
  }

  protected isRoutine(name: string): boolean {
    return this.#routines.some((routine) => routine.name === name)
  }

  /** The call of a temporary function of this name, from its bracket on. */
  protected routine(token: Token): Expression | undefined {
    // Names of functions that a user makes are told apart by case, unlike BigQuery's own.
    const at = this.#routines.findIndex((one) => one.name === token.text)
    const routine = this.#routines[at]
    if (routine === undefined) return undefined
    if (++this.#calls > MAX_CALLS) throw unsupported(`More than ${MAX_CALLS} calls of functions`, token)
    const given = this.inParens(() => (this.isMark(')') ? [] : this.list(() => this.argument())))
    if (this.isWord('OVER')) throw unsupported(`${routine.name} OVER`, this.token)
    if (given.length !== routine.parameters.length || given.some((one) => one.argument !== undefined)) {
      const types = routine.parameters.map(({ type }) => googleType(this.typeOf(`CAST(NULL AS ${type})`, undefined)))
      throw invalidQuery(
        `Number of arguments does not match for function ${routine.name}. Supported signature: ${routine.name}(${types.join(', ')})`,
        token,
      )
    }
    const values = routine.parameters.map((parameter, i) => this.#value(routine, parameter, given[i]?.sql ?? '', token))
    const body = this.#expanded(routine, at, values)
    const sql = routine.returns === undefined ? `(${body})` : `CAST(${body} AS ${routine.returns})`
    if (sql.length > MAX_SQL) throw unsupported('A call of a function that comes to this much', token)
    return { sql }
  }

  #value(routine: Routine, { name, type }: Parameter, sql: string, token: Token): string {
    if (sql === 'NULL') return `CAST(NULL AS ${type})`
    const found = this.typeOf(sql, this.scope)
    if (found === '') throw unsupported(`This argument of ${routine.name}`, token)
    if (!this.#fits(found, type)) {
      throw unsupported(
        `An argument of ${routine.name} of type ${googleType(found)} for ${name} of another type`,
        token,
      )
    }
    if (VOLATILE.test(sql) && (routine.uses.get(name.toLowerCase()) ?? 0) > 1)
      throw unsupported(`A value that is not the same twice as an argument of ${routine.name}`, token)
    return `CAST(${sql} AS ${type})`
  }

  #expanded(routine: Routine, at: number, values: readonly string[]): string {
    const [before, behind] = [this.#routines, this.at]
    this.#routines = before.slice(0, at)
    this.at = routine.start
    try {
      const scope = this.#closed(this.scope, routine.parameters, values)
      return this.#inside(scope, () => this.expression().sql)
    } finally {
      this.#routines = before
      this.at = behind
    }
  }
}
