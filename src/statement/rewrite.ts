/** Masking at the source: references to tables are replaced by subqueries at their token spans. Pure. */
import type { Reference, SqlStatement, Table } from '../exchange.ts'
import { pathKey } from './binder.ts'
import type { Refusal } from './contract.ts'
import { lex, refuse } from './lexer.ts'
import { analyse } from './parse.ts'
import { reaches } from './verify.ts'

/**
 * SQL that takes the place of a reference to `table`: a query (without parentheses) that yields the table's columns by
 * the same names, in the same order, of the same types, and names the table as one quoted path
 * (`` `project.dataset.table` ``) and no other table. `undefined` leaves the table as it is.
 */
export type Wrap = (table: Table, reference: Reference) => string | undefined

/**
 * Replaces each reference whose table is wrapped by `(<wrapped SQL>)`, with `AS alias` where the text gives none. Views
 * that read a wrapped table, directly or through others, are inlined as their definition, rewritten in turn. A Refusal
 * where a reference to be replaced is `fixed`. The references of the answer fit its text, those inside the wrappers
 * included, so that it can be given to this function again; positions of features stay those of the writer's text.
 */
export function replaceReferences(statement: SqlStatement, wrap: Wrap): SqlStatement | Refusal {
  const rewritten = new Rewriter(statement, wrap).text(statement.text, statement.references, false)
  if ('refused' in rewritten) return rewritten
  return { ...statement, text: rewritten.text, references: rewritten.references }
}

/**
 * The statement with its positional parameters `?` turned into `@sluice_p1`, `@sluice_p2`, … in order, so that named
 * ones may be added. Unchanged where it has none.
 */
export function withNamedParameters(statement: SqlStatement): SqlStatement {
  const lexed = lex(statement.text)
  // A statement's text was lexed before.
  if ('refused' in lexed) throw new Error(`a statement's text does not lex: ${lexed.code}`)
  const marks = lexed.tokens.filter((token) => token.kind === 'parameter' && token.value === '')
  if (marks.length === 0) return statement
  const edits = marks.map(({ start, end }, i): Edit => ({ start, end, text: `@sluice_p${i + 1}`, references: [] }))
  let named = 0
  const parameters = statement.parameters.map((parameter) =>
    parameter.name === undefined ? { ...parameter, name: `sluice_p${++named}` } : parameter,
  )
  return { ...statement, ...splice(statement.text, statement.references, edits), parameters }
}

/** A table's path as one quoted name: `` `project.dataset.table` ``. */
export function quotedPath({ path }: Pick<Table, 'path'>): string {
  return `\`${path.project}.${path.dataset}.${path.table}\``
}

interface Text {
  readonly text: string
  readonly references: readonly Reference[]
}

/** `text` in the place of `[start, end)`; its references are relative to it. */
interface Edit extends Text {
  readonly start: number
  readonly end: number
}

class Rewriter {
  readonly #statement: SqlStatement
  readonly #wrap: Wrap
  readonly #tables: ReadonlyMap<string, Table>

  constructor(statement: SqlStatement, wrap: Wrap) {
    this.#statement = statement
    this.#wrap = wrap
    this.#tables = new Map(statement.tables.map((table) => [table.resource, table]))
  }

  /** `isView`: the text stands in another place than it was written for, so every path is written whole. */
  text(text: string, references: readonly Reference[], isView: boolean): Text | Refusal {
    const edits: Edit[] = []
    for (const reference of references) {
      const replaced = this.#replacement(text, reference)
      if (replaced !== undefined && 'refused' in replaced) return replaced
      const { start, end } = reference
      if (replaced !== undefined) edits.push({ start, end, ...aliased(bracketed(replaced), reference) })
      else if (isView) edits.push({ start, end, ...aliased(this.#whole(reference), reference) })
    }
    const kept = references.filter((reference) => !edits.some((edit) => edit.start === reference.start))
    return splice(text, kept, edits)
  }

  /** `undefined` where the reference stays as it is. */
  #replacement(text: string, reference: Reference): Text | Refusal | undefined {
    const table = this.#tables.get(reference.resource)
    // A table that the statement creates is not read.
    if (table === undefined) return undefined
    const sql = this.#wrap(table, reference)
    const isInlined = this.#isInlined(table)
    if (sql === undefined && !isInlined) return undefined
    if (reference.fixed !== undefined) return fixedRefusal(text, reference)
    if (sql === undefined) return this.#inlined(table)
    const wrapped = this.#wrapped(sql, table, reference)
    if ('refused' in wrapped || !isInlined) return wrapped
    const inlined = this.#inlined(table)
    if ('refused' in inlined) return inlined
    const edits = wrapped.references.map((inner): Edit => ({ ...inner, ...aliased(bracketed(inlined), inner) }))
    return splice(wrapped.text, [], edits)
  }

  /** Whether it is a view through which a wrapped table would be read bare. */
  #isInlined(table: Table): boolean {
    const { views, tables } = this.#statement
    if (!views.some((view) => view.resource === table.resource)) return false
    const reference = { resource: '', start: 0, end: 0 }
    const wrapped = tables.filter((t) => this.#wrap(t, { ...reference, resource: t.resource }) !== undefined)
    return reaches(table.resource, { views }, new Set(wrapped.map((t) => t.resource)))
  }

  #inlined(table: Table): Text | Refusal {
    const view = this.#statement.views.find((v) => v.resource === table.resource)
    if (view === undefined) throw new Error('a view was lost')
    return this.text(view.text, view.references, true)
  }

  /** The wrapper with the place where it names its table, which it may name once only, and nothing else. */
  #wrapped(sql: string, table: Table, reference: Reference): Text | Refusal {
    const analysed = analyse(sql, { project: '' })
    const what = `the wrapper of \`${table.resource}\``
    if (analysed.refused) return refuse('', 0, 'unsupported-rewrite', `${what} is not understood: ${analysed.message}`)
    const inside = analysed.names.tables
    if (inside.length !== 1 || inside.some((named) => pathKey(named.path) !== pathKey(table.path))) {
      return refuse('', 0, 'unsupported-rewrite', `${what} must name its table, once, and no other`)
    }
    const references = inside.map(({ start, end, alias }) => ({
      resource: reference.resource,
      start,
      end,
      ...(alias !== undefined && { alias }),
    }))
    return { text: analysed.text, references }
  }

  #whole(reference: Reference): Text {
    const table = this.#tables.get(reference.resource)
    if (table === undefined) throw new Error('a table of a view was lost')
    const text = quotedPath(table)
    const { alias: _, ...inner } = reference
    return { text, references: [{ ...inner, start: 0, end: text.length }] }
  }
}

const WHY: Readonly<Record<string, string>> = {
  target: 'it is what the statement changes',
  copied: 'it is copied whole',
  'table-function': 'it is handed to a table function by `TABLE`',
  'wildcard-suffix': 'it is a wildcard table',
  'time-travel': 'it is read as of another time',
  tablesample: 'it is sampled',
  'pseudo-column': 'a pseudo-column of it is used',
}

function fixedRefusal(text: string, { resource, start, fixed = '' }: Reference): Refusal {
  const why = WHY[fixed] ?? `of \`${fixed}\``
  return refuse(
    text,
    start,
    `fixed-${fixed}`,
    `\`${resource}\` cannot be masked here: ${why}`,
    'read the table plainly',
  )
}

function bracketed({ text, references }: Text): Text {
  return { text: `(${text})`, references: shifted(references, 1) }
}

/** Outside names go on to work: `shop.customers` was known as `customers`. */
function aliased(text: Text, { alias }: Reference): Text {
  return alias === undefined ? text : { ...text, text: `${text.text} AS \`${alias}\`` }
}

function shifted(references: readonly Reference[], by: number): Reference[] {
  return references.map((reference) => ({ ...reference, start: reference.start + by, end: reference.end + by }))
}

/** Makes the edits, which do not overlap, and moves the references that none of them replaces. */
function splice(text: string, kept: readonly Reference[], edits: readonly Edit[]): Text {
  const references: Reference[] = []
  let out = ''
  let at = 0
  const marks = [
    ...edits,
    ...kept.map((r) => ({ ...r, text: text.slice(r.start, r.end), references: [r], isKept: true })),
  ]
  for (const mark of marks.toSorted((a, b) => a.start - b.start)) {
    out += text.slice(at, mark.start)
    references.push(...shifted(mark.references, out.length - ('isKept' in mark ? mark.start : 0)))
    out += mark.text
    at = mark.end
  }
  return { text: out + text.slice(at), references }
}
