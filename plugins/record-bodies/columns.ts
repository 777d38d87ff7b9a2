/** Secrets that name a column which their table does not have. */
import type { SqlField, SqlType, Table } from '../../src/plugin.ts'

/** The first of these column names, in small letters, that is a slip in the name of a column of one of the tables. */
export function slipIn(
  secrets: readonly string[],
  tables: readonly Table[],
): { readonly secret: string; readonly table: string; readonly field?: string } | undefined {
  for (const { resource, path, columns } of tables) {
    const { project, dataset, table } = path
    const names = [resource, `${project}.${dataset}.${table}`].map((it) => `${it.toLowerCase()}.`)
    for (const secret of secrets) {
      // A bare name is that of a column; of a field, its column would be recorded in plain with it.
      const field = secret.includes('.') ? undefined : fieldCalled(secret, columns)
      if (field !== undefined) return { secret, table: resource, field }
      const name = names.find((it) => secret.startsWith(it))
      if (name === undefined || columns.length === 0) continue
      const type: SqlType = { kind: 'STRUCT', fields: columns }
      if (!isThere(type, secret.slice(name.length).split('.'))) return { secret, table: resource }
    }
  }
  return undefined
}

/** The path of a field of that name within one of the columns, however deep. */
function fieldCalled(name: string, columns: readonly SqlField[]): string | undefined {
  for (const column of columns) {
    const inner = fieldsOf(column.type)
    const own = inner.find((field) => field.name.toLowerCase() === name)
    const found = own === undefined ? fieldCalled(name, inner) : own.name
    if (found !== undefined) return `${column.name}.${found}`
  }
  return undefined
}

function fieldsOf(type: SqlType): readonly SqlField[] {
  if (type.kind === 'STRUCT') return type.fields
  return type.kind === 'ARRAY' ? fieldsOf(type.of) : []
}

function isThere(type: SqlType, parts: readonly string[]): boolean {
  const [first, ...rest] = parts
  // Pseudo-columns are in no schema.
  if (first === undefined || (first.startsWith('_') && rest.length === 0)) return true
  switch (type.kind) {
    case 'ARRAY':
    case 'RANGE':
      return isThere(type.of, parts)
    case 'STRUCT': {
      const field = type.fields.find(({ name }) => name.toLowerCase() === first)
      return field !== undefined && isThere(field.type, rest)
    }
    case 'JSON':
      // What is in it nobody knows: all of it is secret.
      return true
    default:
      return false
  }
}
