/** The typed tree of a statement: what the grammar makes of tokens. Positions are offsets in the text. */
import type { Action, SqlType } from '../exchange.ts'
import type { Refusal } from './contract.ts'

/** A name as written. */
export interface Name {
  readonly text: string
  readonly quoted: boolean
  readonly start: number
  readonly end: number
}

interface Placed {
  readonly start: number
}

export type Expression = Placed &
  (
    | { readonly is: 'literal'; readonly type: SqlType | undefined; readonly truth?: boolean; readonly text: string }
    | { readonly is: 'parameter'; readonly name: string | undefined }
    | { readonly is: 'path'; readonly names: readonly Name[] }
    | { readonly is: 'field'; readonly of: Expression; readonly name: Name }
    | { readonly is: 'element'; readonly of: Expression; readonly index: Expression }
    | Call
    | { readonly is: 'cast'; readonly of: Expression; readonly to: SqlType; readonly extra: readonly Expression[] }
    | { readonly is: 'case'; readonly tests: readonly Expression[]; readonly results: readonly Expression[] }
    | { readonly is: 'operator'; readonly operator: string; readonly operands: readonly Expression[] }
    | { readonly is: 'extract'; readonly part: string; readonly of: Expression; readonly extra: readonly Expression[] }
    | { readonly is: 'interval'; readonly of: Expression }
    | { readonly is: 'subquery'; readonly as: 'scalar' | 'array' | 'exists'; readonly query: Query }
    | { readonly is: 'in'; readonly of: Expression; readonly query: Query }
    | { readonly is: 'array'; readonly items: readonly Expression[]; readonly type: SqlType | undefined }
    | {
        readonly is: 'struct'
        readonly items: readonly Aliased[]
        readonly type: SqlType | undefined
        /** `(a, b)`: its fields have no names, where those of `STRUCT(a, b)` have a's and b's. */
        readonly isTuple?: true
      }
    /** `(e, i) -> e > i`, as an argument. */
    | { readonly is: 'lambda'; readonly parameters: readonly Name[]; readonly body: Expression }
  )

export interface Call extends Placed {
  readonly is: 'call'
  /** Upper case, dotted where it has a namespace, without `SAFE.`. */
  readonly name: string
  readonly arguments: readonly Expression[]
  /** `HAVING MAX x`, `ORDER BY x`, `LIMIT n` inside the brackets. */
  readonly extra: readonly Expression[]
  readonly over?: Window
  /** Code that is no plain built-in function: a routine of a dataset, or what reaches out of the query (`ML.…`, `AI.…`). */
  readonly routine?: Path
}

export interface Aliased {
  readonly value: Expression
  readonly alias?: Name
}

export interface Window {
  readonly name?: Name
  readonly parts: readonly Expression[]
}

export interface Query extends Placed {
  readonly recursive: boolean
  readonly ctes: readonly Cte[]
  readonly body: Body
  readonly orderBy: readonly Expression[]
  readonly limited: boolean
  /** What stands behind each `|>`, in order. */
  readonly pipes: readonly Pipe[]
}

export interface Cte {
  readonly name: Name
  readonly query: Query
}

export type Body =
  | Select
  | (Placed & { readonly is: 'set'; readonly arms: readonly Body[]; readonly byName?: ByName })
  | (Placed & { readonly is: 'nested'; readonly query: Query })
  /** `FROM t`, as pipe queries begin. */
  | (Placed & { readonly is: 'from'; readonly from: FromItem })

/** How a set operation by name finds its columns: those of all arms, of the first, of each, or the same in each. */
export interface ByName {
  readonly keeps: 'all' | 'first' | 'shared' | 'same'
  /** Only these, where given. */
  readonly names?: readonly Name[]
}

/** One operator of pipe syntax. */
export type Pipe = Placed &
  (
    | { readonly is: 'project'; readonly select: Select }
    | { readonly is: 'extend'; readonly items: readonly Item[]; readonly windows: Select['windows'] }
    | { readonly is: 'set'; readonly items: readonly { readonly name: Name; readonly value: Expression }[] }
    | { readonly is: 'drop'; readonly names: readonly Name[] }
    | { readonly is: 'rename'; readonly items: readonly { readonly from: Name; readonly to: Name }[] }
    | { readonly is: 'as'; readonly alias: Name }
    | { readonly is: 'where'; readonly of: Expression }
    | { readonly is: 'aggregate'; readonly items: readonly Item[]; readonly groupBy: readonly Aliased[] }
    | { readonly is: 'order'; readonly by: readonly Expression[] }
    | { readonly is: 'limit' }
    | { readonly is: 'distinct' }
    | { readonly is: 'join'; readonly join: Omit<JoinItem, 'left' | 'is'> }
    | { readonly is: 'union'; readonly arms: readonly Query[]; readonly byName?: ByName }
    | { readonly is: 'pivot'; readonly pivot: Pivot; readonly alias?: Name }
    | { readonly is: 'with'; readonly ctes: readonly Cte[] }
    | { readonly is: 'call'; readonly function: FunctionItem }
    /** FORK, TEE, IF, CREATE, INSERT, EXPORT, MATCH_RECOGNIZE: named, so that a policy can judge it, and never bound. */
    | {
        readonly is: 'branch'
        readonly name: string
        readonly branches: readonly (readonly Pipe[])[]
        readonly conditions?: readonly Expression[]
        readonly target?: { readonly path: Path; readonly action: 'write' | 'define' }
      }
  )

export interface Select extends Placed {
  readonly is: 'select'
  readonly as?: 'STRUCT' | 'VALUE'
  /** `SELECT WITH …`: a privacy clause, by name. */
  readonly with?: string
  readonly distinct: boolean
  readonly items: readonly Item[]
  readonly from?: FromItem
  readonly where?: Expression
  readonly groupBy: readonly Expression[]
  readonly having?: Expression
  readonly qualify?: Expression
  readonly windows: readonly { readonly name: Name; readonly window: Window }[]
}

export type Item = ({ readonly is: 'value' } & Aliased) | Star

export interface Star extends Placed {
  readonly is: 'star'
  readonly of?: Expression
  /** Right behind the `*`, or behind the last name of EXCEPT. */
  readonly behind: number
  readonly except: readonly Name[]
  readonly replace: readonly { readonly value: Expression; readonly alias: Name }[]
}

export type FromItem = TableItem | UnnestItem | SubqueryItem | JoinItem | PivotItem | FunctionItem

/** `t PIVOT (…)`, `t UNPIVOT (…)` */
export interface PivotItem extends Placed {
  readonly is: 'pivot'
  readonly of: FromItem
  readonly pivot: Pivot
  readonly alias?: Name
}

export type Pivot = Placed &
  (
    | {
        readonly is: 'pivot'
        readonly aggregates: readonly Aliased[]
        readonly for: Expression
        readonly values: readonly Aliased[]
      }
    | {
        readonly is: 'unpivot'
        /** The columns made of values, and the one made of their names. */
        readonly columns: readonly Name[]
        readonly name: Name
        readonly groups: readonly { readonly columns: readonly Name[]; readonly label: Expression | undefined }[]
      }
  )

/** A call that yields rows: `ML.PREDICT(MODEL m, TABLE t)`, `dataset.function(1)`. */
export interface FunctionItem extends Placed {
  readonly is: 'function'
  readonly path: Path
  /** Upper case, dotted. */
  readonly name: string
  readonly arguments: readonly Argument[]
  readonly alias?: Name
}

export type Argument =
  | { readonly is: 'value'; readonly value: Expression }
  | { readonly is: 'query'; readonly query: Query }
  | { readonly is: 'table'; readonly path: Path }
  | { readonly is: 'model'; readonly path: Path }

export interface TableItem extends Placed {
  readonly is: 'table'
  readonly path: Path
  readonly alias?: Name
  readonly offset?: Name
  /** Why a subquery that takes its place must take its clauses with it. */
  readonly fixed?: string
  /** Where `FOR SYSTEM_TIME AS OF …` and `TABLESAMPLE …` stand. */
  readonly clauses?: readonly { readonly start: number; readonly end: number }[]
  readonly extra: readonly Expression[]
}

export interface UnnestItem extends Placed {
  readonly is: 'unnest'
  readonly of: Expression
  readonly alias?: Name
  readonly offset?: Name
}

export interface SubqueryItem extends Placed {
  readonly is: 'subquery'
  readonly query: Query
  readonly alias?: Name
}

export interface JoinItem extends Placed {
  readonly is: 'join'
  /** `,`, `CROSS`, `INNER`, `LEFT`, `RIGHT`, `FULL`. */
  readonly kind: string
  readonly left: FromItem
  readonly right: FromItem
  readonly on?: Expression
  readonly using: readonly Name[]
}

/** A table's name: one to five parts after quoted parts are split at their points. */
export interface Path extends Placed {
  readonly names: readonly Name[]
  readonly end: number
}

export interface Assignment {
  readonly target: readonly Name[]
  readonly value: Expression
}

/** A statement: BigQuery's name for its kind, its targets, what it reads. */
export interface Tree extends Placed {
  readonly kind: string
  readonly does: Does
  /** What is changed, and how. */
  readonly targets: readonly {
    readonly path: Path
    readonly actions: readonly ChangeAction[]
    readonly dataset?: true
    /** A routine, a model, a table that is only mentioned: not looked up. `raw` is no path of the warehouse's data. */
    readonly object?: 'unlisted' | 'raw'
    /** A new name, made of an old path. */
    readonly derived?: true
  }[]
  /** Tables named outside a query: `COPY t`, `CLONE t`, `LIKE t`. */
  readonly copies: readonly { readonly path: Path; readonly extra: readonly Expression[] }[]
  readonly features: readonly { readonly name: string; readonly start: number }[]
  /** Temporary functions that stand before a query. */
  readonly functions?: readonly TempFunction[]
  /** Arrays of the target that a statement inside an UPDATE changes: no tables. */
  readonly arrays?: readonly Path[]
}

export interface TempFunction {
  readonly name: Name
  readonly parameters: readonly Name[]
  /** Absent where it is written in another language. It names no table and no routine of a dataset. */
  readonly body?: Expression
}

export type ChangeAction = Action

export type Does =
  | { readonly is: 'query'; readonly query: Query; readonly exports: boolean }
  | {
      readonly is: 'insert'
      readonly columns: readonly Name[]
      readonly query?: Query
      readonly values: readonly Expression[]
    }
  | {
      readonly is: 'update'
      readonly alias?: Name
      readonly set: readonly Assignment[]
      readonly from?: FromItem
      readonly where: Expression
    }
  | { readonly is: 'delete'; readonly alias?: Name; readonly where: Expression }
  | {
      readonly is: 'merge'
      readonly alias?: Name
      readonly source: FromItem
      readonly on: Expression
      readonly whens: readonly {
        readonly source: boolean
        readonly target: boolean
        readonly values: readonly Expression[]
        /** `INSERT ROW`: every column of the source. */
        readonly row?: boolean
      }[]
    }
  | { readonly is: 'define'; readonly query?: Query }
  /** Known by its first words and the names in it; why it is not read further. Never bound. */
  | { readonly is: 'opaque'; readonly names: readonly OpaqueName[]; readonly refusal: Refusal }

export interface OpaqueName {
  readonly path: Path
  readonly action: Action
}
