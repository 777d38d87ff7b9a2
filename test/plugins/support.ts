/** Hand-made statements, as statement analysis would give them. */
import type { Column, Reference, SqlStatement, SqlType, Stated, Table } from '../../src/exchange.ts'
import { sqlStatement } from '../support/statement.ts'

const scalar = (kind: string): SqlType => ({ kind }) as SqlType

/** `STRING`, `ARRAY<STRUCT<kind STRING, value STRING>>`. */
export function typeOf(text: string): SqlType {
  const [outer, inner] = [/^(\w+)</.exec(text)?.[1], text.slice(text.indexOf('<') + 1, -1)]
  if (outer === 'ARRAY' || outer === 'RANGE') return { kind: outer, of: typeOf(inner) }
  if (outer === 'STRUCT') {
    const fields = splitTop(inner).map((part) => {
      const at = part.indexOf(' ')
      return { name: part.slice(0, at), type: typeOf(part.slice(at + 1)) }
    })
    return { kind: 'STRUCT', fields }
  }
  return scalar(text)
}

function splitTop(text: string): string[] {
  const parts: string[] = ['']
  let depth = 0
  for (const char of text) {
    if (char === '<') depth += 1
    if (char === '>') depth -= 1
    if (char === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.trim())
}

export function tableOf(resource: string, columns: Readonly<Record<string, string>>, more: Partial<Table> = {}): Table {
  const parts = resource.split('.')
  const [project = '', dataset = '', table = ''] = parts.length === 3 ? parts : ['demo', ...parts]
  return {
    path: { project, dataset, table },
    resource,
    kind: 'TABLE',
    columns: Object.entries(columns).map(([name, type]): Column => ({ name, type: typeOf(type), nullable: true })),
    version: '1',
    ...more,
  }
}

export const customers = tableOf('shop.customers', {
  id: 'INT64',
  name: 'STRING',
  email: 'STRING',
  ssn: 'STRING',
  phone: 'STRING',
  birth_date: 'DATE',
  address: 'STRUCT<street STRING, city STRING, zip STRING>',
  tags: 'ARRAY<STRING>',
  contacts: 'ARRAY<STRUCT<kind STRING, value STRING>>',
  metadata: 'JSON',
  created_at: 'TIMESTAMP',
})

/** A statement; `references` are found by the tables' resources in the text. */
export function statementOf(text: string, tables: readonly Table[], more: Partial<SqlStatement> = {}): SqlStatement {
  const references = tables
    .flatMap((table): Reference[] => {
      const start = text.indexOf(table.resource)
      const alias = table.path.table
      return start < 0 ? [] : [{ resource: table.resource, start, end: start + table.resource.length, alias }]
    })
    .sort((a, b) => a.start - b.start)
  const uses = tables.map(({ resource }) => ({ action: 'read' as const, resource }))
  const bounds = { maxRows: 1000, timeoutMs: 60_000, maxBytesBilled: 1e12 }
  return sqlStatement({ text, uses, tables, references, bounds, ...more })
}

export function statedOf(statement: SqlStatement): Stated {
  return {
    id: '019aa000-0000-7000-8000-000000000000',
    receivedAt: 0,
    surface: 'query',
    principal: { issuer: 'dev', subject: 'agent', kind: 'agent', plane: 'agents', groups: [] },
    connection: 'warehouse',
    statement,
  }
}
