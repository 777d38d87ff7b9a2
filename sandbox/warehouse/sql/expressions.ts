/** Expressions of GoogleSQL: operators, literals, types, calls, aggregates and windows. */
import { invalidQuery, unsupported } from '../errors.ts'
import { aggregate, isWindow, scalar, structSql, type Expression } from './functions.ts'
import { type Token } from './lexer.ts'
import { OVERLOADED, overload } from './macros.ts'
import { structFields } from './catalog.ts'
import {
  AGGREGATED,
  PARTS,
  quote,
  Reader,
  RESERVED,
  same,
  stringSql,
  text,
  TYPES,
  WEEKDAYS,
  type Scope,
} from './reader.ts'

export abstract class Expressions extends Reader {
  /** A query, as it may stand in brackets. `asValue` where one column is wanted. */
  protected abstract query(asValue?: boolean): string

  protected abstract isRoutine(name: string): boolean
  /** A call of a function that the statement made itself. */
  protected abstract routine(token: Token): Expression | undefined

  protected expression(): Expression {
    return this.deeper(() => this.or())
  }

  protected or(): Expression {
    let left = this.and()
    while (this.word('OR')) left = { sql: `(${left.sql} OR ${this.and().sql})` }
    return left
  }

  protected and(): Expression {
    let left = this.not()
    while (this.word('AND')) left = { sql: `(${left.sql} AND ${this.not().sql})` }
    return left
  }

  protected not(): Expression {
    if (this.word('NOT')) return this.deeper(() => ({ sql: `(NOT ${this.not().sql})` }))
    return this.comparison()
  }

  protected comparison(): Expression {
    let left = this.binary(0)
    for (;;) {
      const mark = ['=', '<>', '!=', '<=', '>=', '<', '>'].find((candidate) => this.mark(candidate))
      if (mark !== undefined) {
        const start = left
        const right = this.binary(0)
        const fields = mark === '=' || mark === '<>' || mark === '!=' ? fieldwise(start, right) : undefined
        if (fields === undefined) this.refuseStructs(start, right)
        left = {
          sql:
            fields === undefined ? `(${start.sql} ${mark} ${right.sql})` : `(${mark === '=' ? '' : 'NOT '}${fields})`,
        }
        continue
      }
      if (this.word('IS')) {
        const not = this.word('NOT') ? 'NOT ' : ''
        if (this.word('DISTINCT', 'FROM')) left = { sql: `(${left.sql} IS ${not}DISTINCT FROM ${this.binary(0).sql})` }
        else {
          const what = ['NULL', 'TRUE', 'FALSE'].find((word) => this.word(word))
          if (what === undefined) throw this.unexpected('Expected NULL, TRUE, FALSE or DISTINCT FROM')
          left = { sql: `(${left.sql} IS ${not}${what})` }
        }
        continue
      }
      const not =
        this.isWord('NOT') && ['IN', 'LIKE', 'BETWEEN'].some((word) => this.isWord(word, 1)) ? (this.at++, 'NOT ') : ''
      if (this.word('BETWEEN')) {
        const low = this.binary(0).sql
        this.needWord('AND')
        left = { sql: `(${left.sql} ${not}BETWEEN ${low} AND ${this.binary(0).sql})` }
      } else if (this.word('LIKE')) {
        const of = ['ANY', 'ALL', 'SOME'].find((word) => this.isWord(word))
        if (of !== undefined) left = this.likeEach(left, not, of)
        else left = { sql: `(${left.sql} ${not}LIKE ${this.binary(0).sql} ESCAPE '\\')` }
      } else if (this.word('IN')) left = this.in(left, not)
      else return left
    }
  }

  /**
   * A NULL in a STRUCT makes its comparison NULL in BigQuery, and in DuckDB equal to another NULL. A column is asked for its
   * type where some table has a STRUCT of its name.
   */
  protected refuseStructs(...sides: readonly Expression[]): void {
    const isStruct = ({ sql, fields, name }: Expression): boolean =>
      fields !== undefined ||
      (name !== undefined &&
        this.structs.has(name.toLowerCase()) &&
        /^(?:STRUCT\(|$)/.test(this.typeOf(sql, this.scope)))
    if (sides.some(isStruct)) throw unsupported('Comparing STRUCTs', this.token)
  }

  protected in(left: Expression, not: string): Expression {
    const query = ['SELECT', 'WITH', 'FROM'].some((word) => this.isWord(word, 1))
    if (left.fields !== undefined && this.isMark('(') && !query) {
      const rows = this.inParens(() => this.list(() => this.expression()))
      const each = rows.map((row) => fieldwise(left, row))
      if (each.length > 0 && each.every((one) => one !== undefined)) return { sql: `(${not}(${each.join(' OR ')}))` }
    }
    this.refuseStructs(left)
    if (this.word('UNNEST')) {
      const array = this.inParens(() => this.expression())
      return { sql: `(${not}bq_in_array(${left.sql}, ${array.sql}))` }
    }
    const right = this.inParens(() =>
      this.isWord('SELECT') || this.isWord('WITH') || this.isWord('FROM')
        ? this.query(true)
        : this.list(() => this.expression().sql).join(', '),
    )
    return { sql: `(${left.sql} ${not}IN (${right}))` }
  }

  /** `|`, `^`, `&`, shifts, sums, products: from loose to tight. */
  protected binary(level: number): Expression {
    const marks = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '||']][level]
    if (marks === undefined) return this.unary()
    let left = this.binary(level + 1)
    for (;;) {
      const mark = marks.find((candidate) => this.mark(candidate))
      if (mark === undefined) return left
      const right = this.binary(level + 1)
      if (mark === '/') left = { sql: this.chosen(`bq_div(${left.sql}, ${right.sql})`, [left.sql, right.sql]) }
      else if (mark === '-') left = this.minus(left, right)
      else if (mark === '+' && this.isDays(left, right)) left = { sql: `(${left.sql} + CAST(${right.sql} AS INTEGER))` }
      else if (mark === '^') left = { sql: `xor(${left.sql}, ${right.sql})` }
      else left = { sql: `(${left.sql} ${mark} ${right.sql})` }
    }
  }

  /** Names the overload itself where an argument holds an aggregate: there DuckDB cannot choose. */
  protected chosen(sql: string, args: readonly string[]): string {
    if (!args.some((arg) => AGGREGATED.test(arg))) return sql
    const list = `(${args.join(', ')})`
    for (const macro of OVERLOADED) {
      if (!sql.includes(macro + list)) continue
      const name = overload(
        macro,
        args.map((arg) => this.typeOf(arg, this.scope)),
      )
      if (name !== undefined) return sql.replace(macro + list, () => name + list)
    }
    return sql
  }

  /** Whether this is a DATE and a number of days: DuckDB knows no BIGINT of them. */
  protected isDays(left: Expression, right: Expression): boolean {
    if (left.literal !== undefined || this.typeOf(left.sql, this.scope) !== 'DATE') return false
    return right.literal !== undefined ? /^\d+$/.test(right.literal) : this.typeOf(right.sql, this.scope) === 'BIGINT'
  }

  /** `LIKE ANY ('a%', 'b%')` and `LIKE ALL (…)`. */
  protected likeEach(left: Expression, not: string, of: string): Expression {
    this.at++
    if (!this.isMark('(')) throw unsupported(`LIKE ${of} without a list`, this.token)
    const patterns = this.inParens(() => this.list(() => this.expression().sql))
    const each = patterns.map((pattern) => `${left.sql} LIKE ${pattern} ESCAPE '\\'`)
    return { sql: `(${not}(${each.join(of === 'ALL' ? ' AND ' : ' OR ')}))` }
  }

  /** DATE - DATE is an INTERVAL in BigQuery and a number in DuckDB, so the types are asked for. */
  protected minus(left: Expression, right: Expression): Expression {
    if (this.isDays(left, right)) return { sql: `(${left.sql} - CAST(${right.sql} AS INTEGER))` }
    const written = left.literal !== undefined || right.literal !== undefined
    if (!written && this.typeOf(right.sql, this.scope) === 'DATE' && this.typeOf(left.sql, this.scope) === 'DATE') {
      return { sql: `to_days(CAST(${left.sql} - ${right.sql} AS INTEGER))` }
    }
    return { sql: `(${left.sql} - ${right.sql})` }
  }

  protected unary(): Expression {
    if (this.isMark('-')) {
      const number = this.peek(1)
      if (number.kind === 'integer' || number.kind === 'float') {
        this.at += 2
        return this.postfix(this.number(number, '-'))
      }
      this.at++
      return this.deeper(() => ({ sql: `(- ${this.unary().sql})` }))
    }
    if (this.mark('+')) return this.deeper(() => this.unary())
    if (this.mark('~')) return this.deeper(() => ({ sql: `(~ ${this.unary().sql})` }))
    return this.postfix(this.primary())
  }

  protected number(token: Token, sign: string): Expression {
    if (token.kind === 'float') return { sql: `CAST('${sign}${token.text}' AS DOUBLE)`, literal: sign + token.text }
    const value = BigInt(token.text) * (sign === '-' ? -1n : 1n)
    if (value > 9223372036854775807n || value < -9223372036854775808n)
      throw invalidQuery(`Invalid integer literal: ${sign}${token.text}`, token)
    return { sql: `CAST(${value < 0n ? `'${value}'` : String(value)} AS BIGINT)`, literal: String(value) }
  }

  protected postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.isMark('.') && !this.isMark('*', 1)) {
        this.at++
        const name = this.field()
        value = { sql: `(${value.sql}).${quote(name)}`, name }
      } else if (this.mark('[')) {
        value = this.subscript(value)
        this.need(']')
      } else return value
    }
  }

  protected subscript(value: Expression): Expression {
    for (const [word, shift, safe] of [
      ['OFFSET', 0, ''],
      ['SAFE_OFFSET', 0, '_safe'],
      ['ORDINAL', 1, ''],
      ['SAFE_ORDINAL', 1, '_safe'],
    ] as const) {
      if (this.isWord(word) && this.isMark('(', 1)) {
        this.at++
        const index = this.inParens(() => this.expression()).sql
        return { sql: `bq_at${safe}(${value.sql}, ${shift === 0 ? index : `${index} - 1`})` }
      }
    }
    const index = this.expression()
    if (this.tokens[this.at - 1]?.kind === 'string')
      return { sql: `json_extract(bq_json(${value.sql}), ${text(`$."${index.literal}"`)})` }
    return { sql: `bq_at(${value.sql}, ${index.sql})` }
  }

  protected primary(): Expression {
    const token = this.token
    switch (token.kind) {
      case 'integer':
      case 'float':
        this.at++
        return this.number(token, '')
      case 'string': {
        this.at++
        return { sql: stringSql(token.text), literal: token.text }
      }
      case 'bytes':
        this.at++
        return { sql: `unhex('${token.text}')` }
      case 'parameter': {
        this.at++
        const found = this.context.parameters.named.get(token.text.toLowerCase())
        if (!found) throw invalidQuery(`Query parameter '${token.text}' not found`, token)
        return found
      }
      case 'position': {
        this.at++
        // By its place in the text, for what is read first need not be written first.
        const before = this.tokens.filter((other) => other.kind === 'position' && other.start < token.start).length
        const found = this.context.parameters.positional[before]
        if (!found) throw invalidQuery(`Query parameter number ${before + 1} is not defined`, token)
        return found
      }
      case 'mark':
        if (token.text === '(') return this.parenthesis()
        if (token.text === '[') return this.array('')
        throw this.unexpected()
      case 'quoted':
        return this.named()
      case 'name':
        return this.keyword(token.text.toUpperCase(), token) ?? this.named()
      case 'end':
        throw this.unexpected()
    }
  }

  protected parenthesis(): Expression {
    this.need('(')
    if (this.isWord('SELECT') || this.isWord('WITH') || this.isWord('FROM')) {
      const sql = this.query(true)
      this.need(')')
      return { sql: `(${sql})` }
    }
    const first = this.expression()
    if (!this.isMark(',')) {
      this.need(')')
      return { ...first, sql: `(${first.sql})` }
    }
    const fields = [{ sql: first.sql, name: undefined as string | undefined }]
    while (this.mark(',')) fields.push({ sql: this.expression().sql, name: undefined })
    this.need(')')
    return { sql: structSql(fields), fields }
  }

  protected array(type: string): Expression {
    this.need('[')
    const values = this.isMark(']') ? [] : this.list(() => this.expression())
    this.need(']')
    const first = values.find((value) => value.fields !== undefined)?.fields
    const names = type === '' ? (first ?? []).map((field) => field.name) : (structFields(type.slice(0, -2)) ?? [])
    const items = values.map(({ sql, fields }) => {
      if (fields === undefined || (first?.length ?? 0) === fields.length) return fields ? structSql(fields, names) : sql
      throw invalidQuery('Array elements of types that do not go together', this.token)
    })
    const sql = `[${items.join(', ')}]`
    return { sql: type === '' ? (items.length === 0 ? `CAST([] AS BIGINT[])` : sql) : `CAST(${sql} AS ${type})` }
  }

  protected keyword(word: string, token: Token): Expression | undefined {
    const next = this.peek(1)
    switch (word) {
      case 'NULL':
      case 'TRUE':
      case 'FALSE':
        this.at++
        return { sql: word }
      case 'CASE':
        this.at++
        return this.case()
      case 'CAST':
      case 'SAFE_CAST':
        this.at++
        return this.cast(word === 'SAFE_CAST')
      case 'EXISTS':
        this.at++
        return {
          sql: `EXISTS (${this.inParens(() => {
            this.exists = this.at
            return this.query()
          })})`,
        }
      case 'ARRAY':
        this.at++
        if (this.isMark('(')) return { sql: `ARRAY(${this.inParens(() => this.query(true))})` }
        if (this.isMark('[')) return this.array('')
        this.at--
        return this.array(this.type())
      case 'STRUCT':
        return this.struct()
      case 'EXTRACT':
        this.at++
        return this.extract()
      case 'INTERVAL':
        this.at++
        return { sql: this.interval() }
      case 'CURRENT_DATE':
      case 'CURRENT_TIMESTAMP':
      case 'CURRENT_DATETIME':
      case 'CURRENT_TIME':
        if (next.text === '(') return undefined
        this.at++
        return { sql: scalar(word, [], token) }
      case 'GROUPING': {
        if (next.text !== '(') throw this.unexpected()
        this.at++
        return { sql: `CAST(grouping(${this.inParens(() => this.expression()).sql}) AS BIGINT)` }
      }
      case 'IF':
      case 'LEFT':
      case 'RIGHT':
        if (next.text === '(') return this.call([word], token)
        throw this.unexpected()
      default:
        break
    }
    if (next.kind === 'string') {
      const types = ['DATE', 'TIMESTAMP', 'DATETIME', 'TIME', 'NUMERIC', 'BIGNUMERIC', 'JSON', 'DECIMAL', 'BIGDECIMAL']
      if (types.includes(word)) {
        this.at += 2
        return { sql: `CAST(${text(next.text)} AS ${TYPES[word]})` }
      }
      if (word === 'RANGE') throw unsupported('RANGE', token)
    }
    if (RESERVED.has(word)) throw this.unexpected()
    return undefined
  }

  protected case(): Expression {
    const subject = this.isWord('WHEN') ? '' : ` ${this.expression().sql}`
    const whens: string[] = []
    while (this.word('WHEN')) {
      const when = this.expression().sql
      this.needWord('THEN')
      whens.push(` WHEN ${when} THEN ${this.expression().sql}`)
    }
    if (whens.length === 0) throw this.unexpected('Expected keyword WHEN')
    const otherwise = this.word('ELSE') ? ` ELSE ${this.expression().sql}` : ''
    this.needWord('END')
    return { sql: `CASE${subject}${whens.join('')}${otherwise} END` }
  }

  protected cast(safe: boolean): Expression {
    return this.inParens(() => {
      const value = this.expression()
      this.needWord('AS')
      const type = this.type()
      if (this.isWord('FORMAT')) throw unsupported('CAST with FORMAT', this.token)
      if (value.fields) return { sql: `CAST(${structSql(value.fields, structFields(type) ?? [])} AS ${type})` }
      const sql =
        type === 'VARCHAR'
          ? `bq_string(${value.sql})`
          : type === 'BLOB'
            ? `bq_bytes(${value.sql})`
            : type === 'BIGINT' && value.sql !== 'NULL'
              ? `bq_int(${value.sql})`
              : type === 'BOOLEAN' && value.sql !== 'NULL'
                ? `bq_bool(${value.sql})`
                : `CAST(${value.sql} AS ${type})`
      return {
        sql:
          value.sql === 'NULL'
            ? `CAST(NULL AS ${type})`
            : safe
              ? `TRY(${this.chosen(sql, [value.sql])})`
              : this.chosen(sql, [value.sql]),
      }
    })
  }

  protected type(): string {
    return this.deeper(() => {
      const token = this.token
      const word = this.field().toUpperCase()
      if (word === 'ARRAY') {
        this.need('<')
        const inner = this.type()
        this.closeAngle()
        return `${inner}[]`
      }
      if (word === 'STRUCT') {
        this.need('<')
        const fields = this.list(() => `${quote(this.field())} ${this.type()}`)
        this.closeAngle()
        return `STRUCT(${fields.join(', ')})`
      }
      const type = Object.hasOwn(TYPES, word) ? TYPES[word] : undefined
      if (type === undefined) throw unsupported(`The type ${word}`, token)
      if (this.isMark('(')) {
        const [precision = 0, scale = 0] = this.inParens(() => this.list(() => Number(this.count())))
        if (word === 'NUMERIC' || word === 'DECIMAL') {
          if (scale > 9 || precision - scale > 29)
            throw invalidQuery(`Invalid type NUMERIC(${precision},${scale})`, token)
          return type
        }
        if (word !== 'STRING' && word !== 'BYTES') throw unsupported(`The type ${word} with parameters`, token)
      }
      return type
    })
  }

  /** `>>` closes two. */
  protected closeAngle(): void {
    const token = this.token
    if (token.text === '>>') {
      this.tokens.splice(
        this.at,
        1,
        { ...token, text: '>', end: token.end - 1 },
        { ...token, text: '>', start: token.start + 1 },
      )
    }
    this.need('>')
  }

  protected struct(): Expression {
    this.at++
    if (this.isMark('<')) {
      this.at--
      const type = this.type()
      const values = this.inParens(() => this.list(() => this.expression().sql))
      const names = structFields(type.replaceAll(/BIGINT|DOUBLE/g, 'X')) ?? []
      if (names.length !== values.length)
        throw invalidQuery('STRUCT type has another number of fields than the values', this.token)
      return {
        sql: `CAST(struct_pack(${values.map((value, at) => `${quote(names[at] ?? '')} := ${value}`).join(', ')}) AS ${type})`,
      }
    }
    const fields = this.inParens(() =>
      this.list(() => {
        const value = this.expression()
        return { sql: value.sql, name: this.word('AS') ? this.field() : value.name }
      }),
    )
    return { sql: structSql(fields), fields }
  }

  protected order(): string {
    return this.word('ORDER', 'BY') ? ` ORDER BY ${this.list(() => this.orderItem()).join(', ')}` : ''
  }

  protected orderItem(): string {
    let sql = this.ordinal()
    if (this.word('DESC')) sql += ' DESC'
    else if (this.word('ASC')) sql += ' ASC'
    if (this.word('NULLS')) {
      if (this.word('FIRST')) sql += ' NULLS FIRST'
      else {
        this.needWord('LAST')
        sql += ' NULLS LAST'
      }
    }
    return sql
  }

  /** A bare number here is a column's position. */
  protected ordinal(): string {
    const token = this.token
    const after = this.peek(1)
    if (
      token.kind === 'integer' &&
      (after.kind === 'end' || after.kind === 'name' || [',', ')', ';'].includes(after.text))
    ) {
      this.at++
      return token.text
    }
    return this.expression().sql
  }

  protected count(): string {
    const token = this.token
    if (token.kind === 'integer') {
      this.at++
      return token.text
    }
    if (token.kind === 'parameter' || token.kind === 'position') return this.primary().sql
    throw this.unexpected('Expected an integer literal or a parameter')
  }

  // Dates.

  protected part(): { part: string; start: number } {
    const token = this.token
    const word = this.field().toUpperCase()
    if (word === 'WEEK' && this.isMark('(')) {
      const day = WEEKDAYS.indexOf(this.inParens(() => this.field()).toUpperCase())
      if (day < 0) throw invalidQuery('A valid date part argument is required', token)
      return { part: 'WEEK', start: day }
    }
    return { part: word, start: word === 'ISOWEEK' ? 1 : 0 }
  }

  protected knownPart(part: string, token: Token): string {
    const known = Object.hasOwn(PARTS, part) ? PARTS[part] : undefined
    if (known === undefined || known === 'isoyear') throw unsupported(`The date part ${part}`, token)
    return known
  }

  protected interval(): string {
    const token = this.token
    const value = this.expressionNoAlias()
    const { part } = this.part()
    if (this.isWord('TO')) throw unsupported('INTERVAL with a range of parts', token)
    const number = token.kind === 'string' ? `CAST(${value} AS BIGINT)` : value
    return intervalSql(number, this.knownPart(part, token))
  }

  protected expressionNoAlias(): string {
    return this.binary(0).sql
  }

  protected extract(): Expression {
    return this.inParens(() => {
      const token = this.token
      const { part, start } = this.part()
      this.needWord('FROM')
      let value = this.expression().sql
      if (this.word('AT')) {
        this.needWord('TIME', 'ZONE')
        value = `timezone(${this.expression().sql}, ${value})`
      }
      const sql = ((): string => {
        switch (part) {
          case 'DAYOFWEEK':
            return `(dayofweek(${value}) + 1)`
          case 'DAYOFYEAR':
            return `dayofyear(${value})`
          case 'MILLISECOND':
            return `(millisecond(${value}) % 1000)`
          case 'MICROSECOND':
            return `(microsecond(${value}) % 1000000)`
          case 'ISOWEEK':
            return `week(${value})`
          case 'ISOYEAR':
            return `isoyear(${value})`
          case 'WEEK':
            if (start > 1) throw unsupported('WEEK(day) other than SUNDAY and MONDAY', token)
            return `CAST(strftime(${value}, '${start === 0 ? '%U' : '%W'}') AS BIGINT)`
          case 'DATE':
            return `CAST(${value} AS DATE)`
          case 'TIME':
            return `CAST(${value} AS TIME)`
          case 'DATETIME':
            return `CAST(${value} AS TIMESTAMP)`
          default:
            return `date_part('${this.knownPart(part, token)}', ${value})`
        }
      })()
      return { sql }
    })
  }

  protected dated(word: string, token: Token): Expression | undefined {
    const [family = '', verb = ''] = word.split('_')
    if (
      !['DATE', 'DATETIME', 'TIMESTAMP', 'TIME'].includes(family) ||
      !['ADD', 'SUB', 'DIFF', 'TRUNC'].includes(verb) ||
      word.split('_').length > 2
    )
      return undefined
    return this.inParens(() => {
      const value = this.expression().sql
      this.need(',')
      if (verb === 'ADD' || verb === 'SUB') {
        this.needWord('INTERVAL')
        const interval = this.interval()
        return { sql: `bq_add(${value}, ${verb === 'SUB' ? `-(${interval})` : interval})` }
      }
      if (verb === 'DIFF') {
        const other = this.expression().sql
        this.need(',')
        const { part, start } = this.part()
        return { sql: this.difference(family, value, other, part, start, token) }
      }
      const { part, start } = this.part()
      const zone = this.mark(',') ? this.expression().sql : undefined
      const inner = zone === undefined ? value : `timezone(${zone}, ${value})`
      if (family === 'TIME') throw unsupported('TIME_TRUNC', token)
      const sql =
        part === 'WEEK' || part === 'ISOWEEK'
          ? `bq_week_trunc(${inner}, ${start})`
          : part === 'ISOYEAR'
            ? `bq_like_date(${inner}, date_trunc('isoyear', ${inner}))`
            : `bq_date_trunc(${inner}, '${this.knownPart(part, token)}')`
      return { sql: zone === undefined ? sql : `timezone(${zone}, ${sql})` }
    })
  }

  protected difference(family: string, a: string, b: string, part: string, start: number, token: Token): string {
    if (part === 'WEEK' || part === 'ISOWEEK') {
      if (family === 'TIMESTAMP') throw unsupported('TIMESTAMP_DIFF by WEEK', token)
      const week = (value: string): string => `bq_week_trunc(CAST(${value} AS DATE), ${start})`
      return `CAST(date_diff('day', ${week(b)}, ${week(a)}) // 7 AS BIGINT)`
    }
    const known = this.knownPart(part, token)
    if (family !== 'TIMESTAMP') return `date_diff('${known}', ${b}, ${a})`
    if (!['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day'].includes(known))
      throw unsupported(`TIMESTAMP_DIFF by ${part}`, token)
    const micros = {
      microsecond: '1',
      millisecond: '1000',
      second: '1000000',
      minute: '60000000',
      hour: '3600000000',
      day: '86400000000',
    }[known]
    return `((epoch_us(CAST(${a} AS TIMESTAMPTZ)) - epoch_us(CAST(${b} AS TIMESTAMPTZ))) // CAST(${micros} AS BIGINT))`
  }

  // Names and calls.

  protected named(): Expression {
    const token = this.token
    // A call's name may be a path: SAFE.SUBSTR.
    if (token.kind === 'name') {
      if (this.isMark('(', 1)) return this.call([token.text.toUpperCase()], token)
      if (token.text.toUpperCase() === 'SAFE' && this.isMark('.', 1) && this.isMark('(', 3)) {
        this.at += 2
        if (this.isRoutine(this.token.text)) throw unsupported('SAFE of a function of the statement', this.token)
        return { sql: `TRY(${this.call([this.token.text.toUpperCase()], this.token).sql})` }
      }
    }
    if (token.kind === 'quoted' && this.isMark('(', 1) && this.isRoutine(token.text))
      return this.call([token.text], token)
    if (token.kind === 'quoted' && this.isMark('(', 1)) throw unsupported(`The function ${token.text}`, token)
    const path = [this.name()]
    while (this.isMark('.') && !this.isMark('*', 1)) {
      if (this.isMark('(', 2)) throw unsupported('A function with a path', token)
      this.at++
      path.push(this.field())
    }
    if (path.length === 1) {
      for (let scope = this.scope; scope; scope = scope.parent)
        if (scope.sources.some((one) => one.hidden && one.alias.toLowerCase() === path[0]?.toLowerCase()))
          throw unsupported('A whole row of a table with pseudo-columns', token)
    }
    return this.column(path)
  }

  protected column(path: readonly string[]): Expression {
    const [first = '', ...rest] = path
    const name = path.at(-1) ?? first
    for (const part of path.slice(0, 2)) this.seen?.add(part.toLowerCase())
    for (let scope = this.scope; scope; scope = scope.parent) {
      const implicit = scope.implicit.get(first.toLowerCase())
      if (implicit !== undefined && this.isNearer(first, scope)) break
      if (implicit !== undefined && !scope.aliases.has(first.toLowerCase())) this.unambiguous(first, scope)
      if (implicit !== undefined)
        return { sql: rest.reduce((sql, field) => `(${sql}).${quote(field)}`, implicit), name }
      if (scope.closed) throw invalidQuery(`Unrecognized name: ${path.join('.')}`, this.tokens[this.at - 1])
      if (scope.aliases.has(first.toLowerCase())) break
    }
    const head = path.slice(0, 2).map(quote).join('.')
    return { sql: path.slice(2).reduce((sql, field) => `(${sql}).${quote(field)}`, head), name }
  }

  /** Whether a query inside this scope's has a column of the name, which then is meant. */
  protected isNearer(name: string, outer: Scope): boolean {
    for (let scope = this.scope; scope && scope !== outer; scope = scope.parent)
      if (scope.sources.some((source) => source.columns().some((one) => same(one.name, name)))) return true
    return false
  }

  /** A field of an array's elements or an offset may be called as a column of another table beside it. */
  protected unambiguous(name: string, { sources }: Scope): void {
    const has =
      sources.length < 2 ? [] : sources.filter((source) => source.columns().some((one) => same(one.name, name)))
    if (has.length > 1) throw invalidQuery(`Column name ${name} is ambiguous`, this.tokens[this.at - 1])
  }

  protected call(names: readonly [string], token: Token): Expression {
    const [name] = names
    this.at++
    const routine = this.routine(token)
    if (routine) return routine
    const dated = this.dated(name, token)
    if (dated) return dated
    if (name === 'GENERATE_DATE_ARRAY' || name === 'GENERATE_TIMESTAMP_ARRAY')
      return this.generateDates(name === 'GENERATE_DATE_ARRAY')
    if (name === 'LAST_DAY') return this.lastDay()
    const duck = aggregate(name)
    if (duck !== undefined) return this.aggregate(name, duck, token)
    if (isWindow(name)) return this.windowCall(name)
    const args = this.inParens(() => (this.isMark(')') ? [] : this.list(() => this.argument())))
    if (this.isWord('OVER')) throw unsupported(`${name} OVER`, this.token)
    return {
      sql: this.chosen(
        scalar(name, args, token),
        args.map((arg) => arg.sql),
      ),
    }
  }

  protected argument(): Expression {
    if (this.token.kind === 'name' && this.isMark('=>', 1)) {
      const argument = this.field().toLowerCase()
      this.need('=>')
      return { sql: this.expression().sql, argument }
    }
    return this.expression()
  }

  protected generateDates(dates: boolean): Expression {
    return this.inParens(() => {
      const from = this.expression().sql
      this.need(',')
      const to = this.expression().sql
      let step = "INTERVAL '1 day'"
      if (this.mark(',')) {
        this.needWord('INTERVAL')
        step = this.interval()
      } else if (!dates) throw this.unexpected('Expected ","')
      const type = dates ? 'DATE' : 'TIMESTAMPTZ'
      const list = `generate_series(CAST(${from} AS ${type}), CAST(${to} AS ${type}), ${step})`
      return { sql: dates ? `list_transform(${list}, lambda _e: CAST(_e AS DATE))` : list }
    })
  }

  protected lastDay(): Expression {
    return this.inParens(() => {
      const value = this.expression().sql
      if (this.mark(',') && this.part().part !== 'MONTH')
        throw unsupported('LAST_DAY of another part than MONTH', this.token)
      return { sql: `last_day(${value})` }
    })
  }

  protected aggregate(name: string, duck: string, token: Token): Expression {
    this.need('(')
    const { only } = this
    if (name === 'COUNT' && this.mark('*')) {
      this.need(')')
      return { sql: only === undefined ? `count(*)${this.over()}` : `count(CASE WHEN ${only} THEN 1 END)` }
    }
    const distinct = this.word('DISTINCT') ? 'DISTINCT ' : ''
    const given = this.list(() => this.expression())
    const args = given.map((arg, at) =>
      at > 0 || only === undefined ? arg : { sql: `CASE WHEN ${only} THEN ${arg.sql} END` },
    )
    const value = args[0]?.sql ?? 'NULL'
    let filter = ''
    if (this.word('IGNORE', 'NULLS')) filter = ` FILTER (WHERE ${value} IS NOT NULL)`
    else this.word('RESPECT', 'NULLS')
    if (this.isWord('HAVING')) throw unsupported('HAVING in an aggregate', this.token)
    const order = this.order()
    if (order !== '' && name !== 'ARRAY_AGG' && name !== 'STRING_AGG' && name !== 'ARRAY_CONCAT_AGG')
      throw unsupported(`ORDER BY in ${name}`, token)
    const limit = this.word('LIMIT') ? this.count() : undefined
    this.need(')')
    const quantiles = name === 'APPROX_QUANTILES'
    const wants =
      quantiles || name === 'MAX_BY' || name === 'MIN_BY' || name === 'CORR' || name.startsWith('COVAR') ? 2 : 1
    if (name !== 'STRING_AGG' && args.length !== wants)
      throw unsupported(`${name} with ${args.length} arguments`, token)
    if (limit !== undefined && name !== 'ARRAY_AGG' && name !== 'STRING_AGG')
      throw unsupported(`LIMIT in ${name}`, token)
    const over = this.over()
    switch (name) {
      case 'COUNTIF':
        return { sql: `count(${distinct}CASE WHEN ${value} THEN TRUE END)${over}` }
      case 'AVG':
        if (over === '' && distinct === '') return { sql: `bq_avg(${value})` }
        return {
          sql: `CASE WHEN typeof(${value}) LIKE 'DECIMAL%' THEN error('AVG of NUMERIC with DISTINCT or OVER is not supported in the sandbox') ELSE avg(${distinct}${value})${over} END`,
        }
      case 'ARRAY_AGG': {
        const list = `list(${distinct}${value}${order})${filter}${over}`
        return { sql: limit === undefined ? list : `(${list})[1:${limit}]` }
      }
      case 'APPROX_QUANTILES': {
        // Exact where BigQuery is approximate.
        const parts = Number(args[1]?.literal)
        if (
          distinct !== '' ||
          filter !== '' ||
          over !== '' ||
          !(Number.isInteger(parts) && parts >= 1 && parts <= 1000)
        )
          throw unsupported('This form of APPROX_QUANTILES', token)
        const points = Array.from({ length: parts + 1 }, (_, at) => String(at / parts))
        return { sql: `quantile_disc(${value}, [${points.join(', ')}])` }
      }
      case 'ARRAY_CONCAT_AGG':
        return { sql: `flatten(list(${value}${order}) FILTER (WHERE ${value} IS NOT NULL)${over})` }
      case 'STRING_AGG': {
        const separator = args[1]?.sql ?? "','"
        const list = `list(${distinct}${value}${order}) FILTER (WHERE ${value} IS NOT NULL)${over}`
        return { sql: `array_to_string(${limit === undefined ? list : `(${list})[1:${limit}]`}, ${separator})` }
      }
      default:
        return { sql: `${duck}(${distinct}${args.map((arg) => arg.sql).join(', ')})${filter}${over}` }
    }
  }

  protected windowCall(name: string): Expression {
    this.need('(')
    const args = this.isMark(')') ? [] : this.list(() => this.expression().sql)
    const nulls = this.word('IGNORE', 'NULLS') ? ' IGNORE NULLS' : this.word('RESPECT', 'NULLS') ? '' : ''
    this.need(')')
    const over = this.over()
    if (over === '') throw invalidQuery(`${name} must have an OVER clause`, this.token)
    if (name.startsWith('PERCENTILE_')) {
      if (args.length !== 2) throw unsupported(`${name} with ${args.length} arguments`, this.token)
      return { sql: `quantile_${name.slice(-4).toLowerCase()}(${args.join(', ')})${over}` }
    }
    return { sql: `${name.toLowerCase()}(${args.join(', ')}${nulls})${over}` }
  }

  protected over(): string {
    if (!this.word('OVER')) return ''
    return ` OVER ${this.isMark('(') ? this.window() : quote(this.name())}`
  }

  protected window(): string {
    return this.inParens(() => {
      const parts: string[] = []
      if ((this.token.kind === 'name' && !RESERVED.has(this.token.text.toUpperCase())) || this.token.kind === 'quoted')
        parts.push(quote(this.name()))
      if (this.word('PARTITION', 'BY')) parts.push(`PARTITION BY ${this.list(() => this.expression().sql).join(', ')}`)
      const order = this.order()
      if (order !== '') parts.push(order.trim())
      const frame = this.word('ROWS') ? 'ROWS' : this.word('RANGE') ? 'RANGE' : ''
      if (frame !== '') {
        if (this.word('BETWEEN')) {
          const from = this.bound()
          this.needWord('AND')
          parts.push(`${frame} BETWEEN ${from} AND ${this.bound()}`)
        } else parts.push(`${frame} ${this.bound()}`)
      }
      return `(${parts.join(' ')})`
    })
  }

  protected bound(): string {
    if (this.word('CURRENT', 'ROW')) return 'CURRENT ROW'
    const amount = this.word('UNBOUNDED') ? 'UNBOUNDED' : this.binary(0).sql
    if (this.word('PRECEDING')) return `${amount} PRECEDING`
    this.needWord('FOLLOWING')
    return `${amount} FOLLOWING`
  }
}

/** Two STRUCTs that are written out, field by field: NULL where no field differs and one is NULL. */
function fieldwise(left: Expression, right: Expression): string | undefined {
  if (left.fields === undefined || right.fields?.length !== left.fields.length) return undefined
  const all = [...left.fields, ...right.fields]
  if (all.some(({ sql }) => sql.includes('struct_pack('))) return undefined
  return `(${left.fields.map(({ sql }, at) => `${sql} = ${right.fields?.[at]?.sql}`).join(' AND ')})`
}

function intervalSql(number: string, part: string): string {
  switch (part) {
    case 'microsecond':
    case 'millisecond':
      return `to_${part}s(${number})`
    case 'second':
      return `to_seconds(${number})`
    case 'minute':
    case 'hour':
      return `to_${part}s(${number})`
    default:
      return `to_${part}s(CAST(${number} AS INTEGER))`
  }
}
