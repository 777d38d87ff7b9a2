/** UNION, INTERSECT and EXCEPT: by position and by name, and which columns come of them. */
import { invalidQuery, unsupported } from '../errors.ts'
import { fieldsOf, googleType } from './catalog.ts'
import { Pivots } from './pivots.ts'
import { quote, same } from './reader.ts'

export interface SetOperator {
  /** As DuckDB writes it; BigQuery's words are `name`. */
  readonly sql: string
  readonly name: string
  /** How columns are matched; undefined by position. */
  readonly match: 'strict' | 'inner' | 'left' | 'full' | undefined
  readonly on: readonly string[] | undefined
}

interface Field {
  readonly name: string
  readonly type: string
}

const KINDS = ['UNION', 'INTERSECT', 'EXCEPT']
const WIDER = ['INT64', 'NUMERIC', 'BIGNUMERIC', 'FLOAT64']

export abstract class Sets extends Pivots {
  protected opensSetOperator(): boolean {
    let ahead = 0
    if (['INNER', 'LEFT', 'FULL'].some((word) => this.isWord(word))) ahead = this.isWord('OUTER', 1) ? 2 : 1
    return KINDS.some((word) => this.isWord(word, ahead))
  }

  /** `[INNER | FULL | LEFT] UNION ALL [BY NAME [ON (…)] | [STRICT] CORRESPONDING [BY (…)]]`. */
  protected setOperator(): SetOperator | undefined {
    if (!this.opensSetOperator()) return undefined
    const token = this.token
    const side = ['INNER', 'LEFT', 'FULL'].find((word) => this.word(word))
    if (side === 'LEFT' || side === 'FULL') this.word('OUTER')
    const kind = KINDS.find((word) => this.word(word))
    if (kind === undefined) throw this.unexpected()
    const all = kind === 'UNION' && this.word('ALL')
    if (!all) this.needWord('DISTINCT')
    const name = `${kind} ${all ? 'ALL' : 'DISTINCT'}`
    const sql = all ? name : kind
    const strict = this.word('STRICT')
    const corresponding = this.word('CORRESPONDING')
    if (!corresponding && !this.word('BY', 'NAME')) {
      if (side !== undefined || strict) throw this.unexpected('Expected keyword BY or keyword CORRESPONDING')
      return { sql, name, match: undefined, on: undefined }
    }
    if (strict && (!corresponding || side !== undefined)) throw this.unexpected()
    const listed = corresponding ? this.word('BY') : this.word('ON')
    const on = listed ? this.inParens(() => this.list(() => this.name())) : undefined
    if (on !== undefined && (side === 'LEFT' || side === 'FULL'))
      throw unsupported(`${side} with a list of columns`, token)
    const open = corresponding && !strict ? 'inner' : 'strict'
    const match = side === undefined ? open : side === 'INNER' ? 'inner' : side === 'LEFT' ? 'left' : 'full'
    return { sql, name, match, on }
  }

  /** The columns of a query, or undefined where DuckDB cannot tell, as of one that reads itself. */
  protected fieldsOfQuery(sql: string): Field[] | undefined {
    const row = '_the_whole_row'
    const type = this.typeOf(row, { ...this.newScope(), from: `(${sql}) AS ${row}` })
    return type.startsWith('STRUCT(') ? fieldsOf(type) : undefined
  }

  /** Two queries under an operator. */
  protected combined(left: string, operator: SetOperator, right: string): string {
    const fields = [this.fieldsOfQuery(left), this.fieldsOfQuery(right)] as const
    const [of, to] = fields
    if (operator.match === undefined) {
      if (of !== undefined && to !== undefined) alike(operator, of, to)
      return `${left} ${operator.sql} ${right}`
    }
    if (of === undefined || to === undefined) throw unsupported('A query that reads itself, BY NAME,', this.token)
    const names = matched(operator, of, to)
    const pairs = names.map((name) => [found(of, name), found(to, name)] as const)
    const both = pairs.flatMap(([a, b]) => (a === undefined || b === undefined ? [] : [[a, b] as const]))
    alike(
      operator,
      both.map(([a]) => a),
      both.map(([, b]) => b),
    )
    const select = (sql: string, at: 0 | 1): string => {
      const list = pairs.map((pair) => {
        const [a, b] = pair
        const name = quote(a?.name ?? b?.name ?? '')
        const field = pair[at]
        return `${field === undefined ? `CAST(NULL AS ${(a ?? b)?.type})` : quote(field.name)} AS ${name}`
      })
      return `SELECT ${list.join(', ')} FROM (${sql}) AS _t${this.unique++}`
    }
    return `${select(left, 0)} ${operator.sql} ${select(right, 1)}`
  }
}

const found = (fields: readonly Field[], name: string): Field | undefined =>
  fields.find((field) => same(field.name, name))

/** The columns of the result, in order: the left query's, then for FULL those of the right alone. */
function matched({ match, on, name }: SetOperator, left: readonly Field[], right: readonly Field[]): string[] {
  if (on !== undefined) {
    for (const column of on) {
      if (!found(left, column) || !found(right, column))
        throw invalidQuery(`Column ${column} in the list of ${name} is not in all of its queries`)
    }
    return [...on]
  }
  const common = left.filter((field) => found(right, field.name))
  const added = right.filter((field) => !found(left, field.name))
  if (match === 'strict' && (added.length > 0 || common.length < left.length))
    throw invalidQuery(`The queries of ${name} BY NAME do not have the same columns`)
  if (common.length === 0 && match !== 'full') throw invalidQuery(`The queries of ${name} have no column in common`)
  const fields = match === 'inner' ? common : match === 'full' ? [...left, ...added] : left
  return fields.map((field) => field.name)
}

/** DuckDB would make text of a number and a text; BigQuery does not. */
function alike({ name }: SetOperator, left: readonly Field[], right: readonly Field[]): void {
  if (left.length !== right.length) {
    throw invalidQuery(
      `Queries in ${name} have mismatched column count; query 1 has ${left.length} columns, query 2 has ${right.length} columns`,
    )
  }
  left.forEach((field, at) => {
    // INTEGER is what DuckDB says of NULL.
    const types = [field.type, right[at]?.type ?? '']
    if (types.some((type) => type === 'INTEGER' || type === '"NULL"' || /^STRUCT\(|\]$/.test(type))) return
    const [a = '', b = ''] = types.map(googleType)
    if (a === b || (WIDER.includes(a) && WIDER.includes(b))) return
    throw invalidQuery(`Column ${at + 1} in ${name} has incompatible types: ${a}, ${b}`)
  })
}
