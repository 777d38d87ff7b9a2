/** Types, as CAST and literals name them. */
import type { ScalarType, SqlField, SqlType } from '../exchange.ts'
import type { Token } from './lexer.ts'
import { TYPES } from './words.ts'
import { Tokens } from './grammar-tokens.ts'

/** A type that BigQuery lacks is read, and noted as `never`. */
export class Types extends Tokens {
  type(): SqlType {
    return this.nest(() => {
      const token = this.peek()
      if (token.word === 'STRUCT') {
        this.next()
        return this.structType()
      }
      if (token.word === 'ARRAY' || (token.word === 'RANGE' && this.peek(1).word === '<')) {
        this.next()
        this.need('<')
        const of = this.type()
        this.need('>')
        return { kind: token.word, of }
      }
      const kind: ScalarType | undefined = TYPES.get(token.word)
      if (kind === undefined || this.peek(1).word === '.') return this.foreignType(token)
      this.next()
      if (this.is('(')) this.sizes()
      this.collation()
      return { kind }
    })
  }

  protected collation(): void {
    const { start } = this.peek()
    if (!this.take('COLLATE')) return
    if (this.peek().kind !== 'string') this.unexpected('a string')
    this.next()
    this.never(start, 'type', 'a type with a collation')
  }

  /** One that BigQuery lacks: `INT32`, `DOUBLE`, a protocol buffer's name. */
  protected foreignType(token: Token): SqlType {
    if (token.kind !== 'name' && token.kind !== 'quoted') this.unexpected('a type')
    const { names } = this.path()
    const name = names.map(({ text }) => text).join('.')
    const known = SAME_TYPE[name.toUpperCase()]
    this.never(token.start, 'type', `the type \`${name}\``, known === undefined ? undefined : `write \`${known}\``)
    if (this.is('(')) this.sizes()
    this.collation()
    return { kind: 'STRING' }
  }

  /** `STRING(10)`, `NUMERIC(10, 2)`: sizes are no part of our types. */
  protected sizes(): void {
    this.need('(')
    do {
      if (this.peek().kind !== 'number') this.unexpected('a number')
      this.next()
    } while (this.take(','))
    this.need(')')
  }

  protected structType(): SqlType {
    this.need('<')
    const fields: SqlField[] = []
    if (!this.is('>')) {
      do {
        const named = /^(name|quoted)$/.test(this.peek(1).kind) && !this.isAny('ARRAY', 'STRUCT')
        const name = named ? this.name('the name of a field').text : ''
        fields.push({ name, type: this.type() })
      } while (this.take(','))
    }
    this.need('>')
    return { kind: 'STRUCT', fields }
  }
}

/** BigQuery's names for types of other dialects. */
const SAME_TYPE: Readonly<Record<string, string>> = {
  INT32: 'INT64',
  UINT32: 'INT64',
  UINT64: 'INT64',
  LONG: 'INT64',
  FLOAT: 'FLOAT64',
  FLOAT32: 'FLOAT64',
  DOUBLE: 'FLOAT64',
  REAL: 'FLOAT64',
  TEXT: 'STRING',
  CHAR: 'STRING',
  VARCHAR: 'STRING',
}
