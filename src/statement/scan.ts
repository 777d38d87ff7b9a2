/**
 * Where a text names tables and models, read from its tokens alone: which word stands before a name, and nothing else. Knows
 * nothing of the grammar and shares no code with it, so that the two seldom share a mistake. Where a name could be a
 * table, it counts as one.
 */
import type { Token } from './lexer.ts'

export interface Scanned {
  readonly start: number
  readonly end: number
  /** `write`, `define` and `delete` are targets; `execute` is code that is called by a dotted name, or a model. */
  readonly role: 'read' | 'write' | 'define' | 'delete' | 'execute' | 'administer'
}

/** One level of brackets. */
interface Level {
  /** In a list behind FROM: before an item, behind one, or not in a list. */
  at: 'none' | 'item' | 'after'
  /** The brackets of a call: `TABLE t` and `MODEL m` name things there. */
  isCall: boolean
  /** `EXTRACT(YEAR FROM x)`: the first FROM leads to no table. */
  isExtract: boolean
  /** Between MERGE and its USING. */
  isMerge: boolean
  /** Behind CREATE, ALTER, DROP, GRANT, REVOKE: `ON t` names what it is about. */
  isAbout: boolean
}

const ENDS = new Set(
  'WHERE GROUP HAVING QUALIFY WINDOW ORDER LIMIT UNION INTERSECT EXCEPT SET WHEN SELECT DO THEN ; |>'.split(' '),
)
/** A statement may begin behind these. */
const OPENERS = new Set([';', 'BEGIN', 'THEN', 'ELSE', 'DO', 'LOOP', 'REPEAT', '|>', 'TRANSACTION', 'AS'])
const OBJECTS = new Set('TABLE VIEW MODEL FUNCTION PROCEDURE SCHEMA EXTERNAL SNAPSHOT DATASET CONNECTION'.split(' '))
/** Words between a verb and what it is about. */
const BETWEEN = new Set(
  'OR REPLACE TEMP TEMPORARY MATERIALIZED SEARCH VECTOR AGGREGATE ALL ROW ACCESS IF NOT EXISTS'.split(' '),
)
const COPYING = new Set(['CLONE', 'COPY', 'LIKE'])
/** What cannot be a name unless quoted, as far as it matters behind FROM. */
const NO_NAME = new Set(
  (
    'ALL AND ANY ARRAY AS ASC AT BETWEEN BY CASE CAST COLLATE CREATE CROSS CURRENT DEFAULT DESC DISTINCT ELSE END EXCEPT ' +
    'EXISTS EXTRACT FALSE FOR FROM FULL GROUP HAVING IF IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT ' +
    'MERGE NATURAL NOT NULL ON OR ORDER OUTER OVER PARTITION QUALIFY RANGE RECURSIVE RIGHT ROLLUP ROWS SELECT SET STRUCT ' +
    'TABLESAMPLE THEN TO TRUE UNION UNNEST USING WHEN WHERE WINDOW WITH'
  ).split(' '),
)

/** In the order of the text. Pure; takes time linear in the tokens. */
export function scanNames(tokens: readonly Token[]): Scanned[] {
  return new Scan(tokens.filter((token) => token.kind !== 'end')).run()
}

class Scan {
  readonly #tokens: readonly Token[]
  readonly #found: Scanned[] = []
  readonly #levels: Level[] = [level('none')]
  #i = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  run(): Scanned[] {
    while (this.#i < this.#tokens.length) this.#step()
    return this.#found
  }

  get #level(): Level {
    return this.#levels.at(-1) ?? level('none')
  }

  #word(offset = 0): string {
    return this.#tokens[this.#i + offset]?.word ?? ''
  }

  /** A word that does not begin a path. */
  #filler(ahead: number): string {
    return this.#word(ahead + 1) === '.' ? '' : this.#word(ahead)
  }

  #step(): void {
    const word = this.#word()
    const here = this.#level
    if (this.#word(-1) === '.') this.#i++
    else if (word === '(') this.#open()
    else if (word === ')') {
      if (this.#levels.length > 1) this.#levels.pop()
      this.#i++
    } else if (here.at === 'item') this.#item(here)
    else if (!this.#keyword(word, here)) this.#callOrName()
  }

  #open(): void {
    const before = this.#tokens[this.#i - 1]
    const inner = level(this.#level.at === 'item' ? 'item' : 'none')
    inner.isCall = before?.kind === 'quoted' || (before?.kind === 'name' && !NO_NAME.has(before.word))
    inner.isExtract = before?.word === 'EXTRACT'
    if (this.#level.at === 'item') this.#level.at = 'after'
    this.#levels.push(inner)
    this.#i++
  }

  /** Behind FROM, JOIN or a comma in a list. */
  #item(here: Level): void {
    const word = this.#word()
    if (word === 'LATERAL') this.#i++
    else if (this.#isName()) {
      here.at = 'after'
      this.#name('read', true)
    } else if (word === 'UNNEST') {
      here.at = 'after'
      this.#i++
    } else here.at = 'none'
  }

  /** Whether the word leads somewhere. */
  #keyword(word: string, here: Level): boolean {
    if (word === 'FROM') return this.#from(here)
    if (word === 'JOIN') here.at = 'item'
    else if (word === ',' && here.at === 'after') here.at = 'item'
    else if (word === 'USING' && here.isMerge) {
      here.isMerge = false
      here.at = 'item'
    } else if (word === 'MERGE') {
      here.isMerge = true
      return this.#target('write', 1 + Number(this.#word(1) === 'INTO'))
    } else if (word === 'INTO') return this.#into()
    else if (COPYING.has(word) && here.isAbout && here.at === 'none') return this.#target('read', 1)
    else if ((this.#i === 0 || OPENERS.has(this.#word(-1))) && this.#statement(word, here)) return true
    else if (word === 'TABLE' || word === 'MODEL') return this.#argument(word, here)
    else if (word === 'ON' && here.isAbout && here.at === 'none') return this.#about()
    else if (word === 'ALL' && this.#word(-1) === 'UNION') return this.#cloned()
    else if (word === 'OVERWRITE' && this.#word(-1) === 'DATA') return this.#into()
    else if (word === 'REFERENCES' || (word === 'OF' && this.#word(-1) === 'REPLICA')) return this.#target('read', 1)
    else {
      if (word === ';' || word === 'SELECT') here.isAbout = false
      if (ENDS.has(word)) here.at = 'none'
      return false
    }
    this.#i++
    return true
  }

  #from(here: Level): boolean {
    const isDistinct = this.#word(-1) === 'DISTINCT' && /^(IS|NOT)$/.test(this.#word(-2))
    if (here.isExtract) here.isExtract = false
    else if (!isDistinct) here.at = 'item'
    this.#i++
    return true
  }

  #into(): boolean {
    let ahead = 1
    while (/^(TEMP|TEMPORARY|TABLE)$/.test(this.#filler(ahead))) ahead++
    return this.#target('write', ahead)
  }

  /** `CLONE DATA INTO t FROM a UNION ALL b`: a name, where a set operation has a query. */
  #cloned(): boolean {
    const isMode =
      /^(CORRESPONDING|STRICT)$/.test(this.#word(1)) && /^(CORRESPONDING|BY|SELECT|FROM|WITH|\()$/.test(this.#word(2))
    return !isMode && this.#target('read', 1)
  }

  /** Verbs that are names elsewhere, where a statement may begin. */
  #statement(word: string, here: Level): boolean {
    here.isAbout = /^(CREATE|ALTER|DROP|GRANT|REVOKE)$/.test(word)
    switch (word) {
      case 'INSERT':
      case 'UPDATE':
        if (this.#word(1) === 'INTO' || this.#isRow()) return false
        return this.#target('write', 1)
      case 'DELETE':
        return this.#target('write', 1 + Number(this.#word(1) === 'FROM'))
      case 'TRUNCATE':
        return this.#word(1) === 'TABLE' && this.#target('delete', 2)
      case 'CALL':
        return this.#target('execute', 1)
      case 'EXPORT':
        return this.#word(1) === 'MODEL' && this.#target('read', 2)
      case 'CREATE':
      case 'UNDROP':
        return this.#object('define')
      case 'ALTER':
        return this.#object('define')
      case 'DROP':
        return this.#object('delete')
      default:
        return false
    }
  }

  /** `WHEN NOT MATCHED THEN INSERT ROW`, and no more. */
  #isRow(): boolean {
    if (this.#word(-1) !== 'THEN' || this.#word(1) !== 'ROW') return false
    return this.#tokens[this.#i + 2] === undefined || /^(WHEN|;)$/.test(this.#word(2))
  }

  /** `CREATE OR REPLACE TABLE IF NOT EXISTS t` */
  #object(role: Scanned['role']): boolean {
    let ahead = 1
    let isNamed = false
    for (; BETWEEN.has(this.#filler(ahead)) || OBJECTS.has(this.#filler(ahead)); ahead++) {
      if (OBJECTS.has(this.#filler(ahead))) isNamed = true
    }
    return isNamed && this.#target(role, ahead)
  }

  #about(): boolean {
    let ahead = 1
    while (OBJECTS.has(this.#filler(ahead))) ahead++
    return this.#target('administer', ahead)
  }

  /** `TABLE t` and `MODEL m` in the brackets of a call, and TABLE wherever a name follows. */
  #argument(word: string, here: Level): boolean {
    const before = this.#word(-1)
    if (word === 'TABLE') return this.#target('read', 1)
    return here.isCall && (before === '(' || before === ',' || before === '=>') && this.#target('execute', 1)
  }

  #target(role: Scanned['role'], ahead: number): boolean {
    const from = this.#i
    this.#i += ahead
    if (this.#isName() && this.#word() !== 'SELECT') {
      this.#name(role, false)
      return true
    }
    this.#i = from
    return false
  }

  #isName(): boolean {
    const token = this.#tokens[this.#i]
    return token?.kind === 'quoted' || (token?.kind === 'name' && !NO_NAME.has(token.word))
  }

  /** A path with its points and dashes. Where `callable`, brackets behind it make it code. */
  #name(role: Scanned['role'], callable: boolean): void {
    const first = this.#tokens[this.#i]
    const start = first?.start ?? 0
    let end = first?.end ?? 0
    this.#i++
    for (;;) {
      const [mark, part] = [this.#tokens[this.#i], this.#tokens[this.#i + 1]]
      const isPoint = mark?.word === '.'
      const isDash = mark?.word === '-' && mark.start === end && part?.start === mark.end
      if (part === undefined || !(isPoint || isDash) || !/^(name|quoted|number)$/.test(part.kind)) break
      end = part.end
      this.#i += 2
    }
    this.#found.push({ start, end, role: callable && this.#word() === '(' ? 'execute' : role })
  }

  /** A dotted name that brackets follow is code: `dataset.routine(…)`. Everything else leads nowhere. */
  #callOrName(): void {
    const from = this.#i
    if (!this.#isName()) {
      this.#i++
      return
    }
    const start = this.#tokens[from]?.start ?? 0
    let end = this.#tokens[from]?.end ?? 0
    let parts = 1
    this.#i++
    while (this.#word() === '.' && /^(name|quoted)$/.test(this.#tokens[this.#i + 1]?.kind ?? '')) {
      end = this.#tokens[this.#i + 1]?.end ?? end
      parts++
      this.#i += 2
    }
    const isCode = this.#word() === '(' && (parts > 1 || this.#tokens[from]?.kind === 'quoted')
    if (isCode) this.#found.push({ start, end, role: 'execute' })
  }
}

function level(at: Level['at']): Level {
  return { at, isCall: false, isExtract: false, isMerge: false, isAbout: false }
}
