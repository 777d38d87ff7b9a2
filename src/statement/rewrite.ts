/** Masking at the source: references to tables are replaced by subqueries at their token spans. Pure. */
import type { Reference, Span, SqlStatement, Table } from '../exchange.ts'
import { pathKey } from './binder.ts'
import type { Refusal } from './contract.ts'
import { lex, refuse } from './lexer.ts'
import { analyse } from './parse.ts'
import { reaches } from './verify.ts'

/**
 * SQL that takes the place of a reference to `table`: a query (without parentheses) that yields the table's columns by
 * the same names, in the same order, of the same types, then the reference's `exportsOf`, and names the table as one quoted
 * path (`` `project.dataset.table` ``) and no other table, at its end, where the reference's clauses are put.
 * `undefined` leaves the table as it is.
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

/** A pseudo-column that the wrapper of a reference must yield, and the name under which the text goes on to use it. */
export interface Export {
  readonly name: string
  readonly alias: string
}

/** In order. The names are other ones for each place, so that none is ambiguous. */
export function exportsOf({ start, pseudo = [] }: Reference): readonly Export[] {
  return pseudo.map(({ name }) => ({ name, alias: `${EXPORT}${start}${name.toLowerCase()}` }))
}

const EXPORT = 'sluice_x'

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
    const stars = new Map<number, { isList: boolean; names: string[] }>()
    for (const reference of references) {
      const replaced = this.#replacement(text, reference)
      if (replaced !== undefined && 'refused' in replaced) return replaced
      const { start, end } = reference
      if (replaced !== undefined) {
        if (exportsOf(reference).length > 0 && text.toLowerCase().includes(EXPORT)) return takenRefusal(text, reference)
        edits.push({ start, end, ...aliased(bracketed(replaced), reference) }, ...moved(text, reference))
        for (const { at, isList } of reference.stars ?? []) {
          const names = exportsOf(reference).map(({ alias }) => alias)
          stars.set(at, { isList, names: [...(stars.get(at)?.names ?? []), ...names] })
        }
      } else if (isView) edits.push({ start, end, ...aliased(this.#whole(reference), reference) })
    }
    for (const [at, { isList, names }] of stars) {
      if (names.length === 0) continue
      const list = names.join(', ')
      edits.push({ start: at, end: at, text: isList ? `, ${list}` : ` EXCEPT (${list})`, references: [] })
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
    const clauses = (reference.clauses ?? []).map(({ start, end }) => text.slice(start, end))
    // Of a view's tables each would have to be read so, which a definition cannot be made to.
    if (isInlined && clauses.length > 0) return fixedRefusal(text, { ...reference, fixed: 'view-clause' })
    if (sql === undefined) return this.#inlined(table)
    const wrapped = this.#wrapped(sql, table, reference, clauses)
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
  #wrapped(sql: string, table: Table, reference: Reference, clauses: readonly string[]): Text | Refusal {
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
      // What goes with the table must not be parted from it by another wrapper.
      ...((clauses.length > 0 || reference.pseudo !== undefined) && { fixed: 'wrapped' }),
    }))
    return { text: [analysed.text, ...clauses].join(' '), references }
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
  'time-travel': 'the time as of which it is read is no constant',
  'view-clause': 'it is a view over masked tables that is read as of another time, or sampled',
  'pseudo-column': 'a pseudo-column of it is used without an alias, in two tables at once, or beside whole rows',
  wrapped: 'it is masked already',
}

const FIXES: Readonly<Record<string, string>> = {
  'time-travel': 'write the time as a literal, a parameter or a calculation from `CURRENT_TIMESTAMP()`',
  'view-clause': 'read the tables of the view, or the view as it is now',
  'pseudo-column':
    'give the pseudo-column an alias in the select list, put the alias of its table before it, and name the columns you need',
}

function fixedRefusal(text: string, { resource, start, fixed = '' }: Reference): Refusal {
  const why = WHY[fixed] ?? `of \`${fixed}\``
  return refuse(
    text,
    start,
    `fixed-${fixed}`,
    `\`${resource}\` cannot be masked here: ${why}`,
    FIXES[fixed] ?? 'read the table plainly',
  )
}

function takenRefusal(text: string, { start }: Reference): Refusal {
  const message = `names that begin with \`${EXPORT}\` are the gateway's own`
  return refuse(text, start, 'unsupported-rewrite', message, 'give what bears one another name')
}

/** Its clauses go; its pseudo-columns are called as the wrapper names them. */
function moved(text: string, reference: Reference): Edit[] {
  const gone = (reference.clauses ?? []).map(({ start, end }): Edit => {
    const before = text.slice(0, start).trimEnd().length
    return { start: before, end, text: '', references: [] }
  })
  const named = exportsOf(reference).flatMap(({ name, alias }) => {
    const at = reference.pseudo?.find((it) => it.name === name)?.at ?? []
    return at.map(({ start, end }): Edit => ({ start, end, text: alias, references: [] }))
  })
  return [...gone, ...named]
}

function bracketed({ text, references }: Text): Text {
  return { text: `(${text})`, references: shifted(references, 1) }
}

/** Outside names go on to work: `shop.customers` was known as `customers`. */
function aliased(text: Text, { alias }: Reference): Text {
  return alias === undefined ? text : { ...text, text: `${text.text} AS \`${alias}\`` }
}

function shifted(references: readonly Reference[], by: number): Reference[] {
  return references.map((reference) => placed(reference, (offset) => offset + by))
}

/** Makes the edits, which do not overlap, and moves the references that none of them replaces. */
function splice(text: string, kept: readonly Reference[], edits: readonly Edit[]): Text {
  const sorted = edits.toSorted((a, b) => a.start - b.start)
  const references: Reference[] = []
  let out = ''
  let at = 0
  for (const edit of sorted) {
    out += text.slice(at, edit.start)
    references.push(...shifted(edit.references, out.length))
    out += edit.text
    at = edit.end
  }
  const place = (offset: number): number =>
    sorted.reduce(
      (sum, { start, end, text: { length } }) => (end <= offset ? sum + length - (end - start) : sum),
      offset,
    )
  references.push(...kept.map((reference) => placed(reference, place)))
  return { text: out + text.slice(at), references: references.toSorted((a, b) => a.start - b.start) }
}

/** A reference with each of its places where it has come to be. */
function placed(reference: Reference, place: (offset: number) => number): Reference {
  const span = ({ start, end }: Span): Span => ({ start: place(start), end: place(end) })
  const { clauses, pseudo, stars } = reference
  return {
    ...reference,
    ...span(reference),
    ...(clauses !== undefined && { clauses: clauses.map(span) }),
    ...(pseudo !== undefined && { pseudo: pseudo.map(({ name, at }) => ({ name, at: at.map(span) })) }),
    ...(stars !== undefined && { stars: stars.map(({ at, isList }) => ({ at: place(at), isList })) }),
  }
}
