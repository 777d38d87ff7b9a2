/** ClickHouse's output formats, as far as HTTP has to know them. */

/** Pieces of these joined are the whole: they have neither header nor footer. */
const STREAMED: ReadonlySet<string> = new Set([
  'csv',
  'jsoncompacteachrow',
  'jsoneachrow',
  'jsonlines',
  'jsonstringseachrow',
  'jsoncompactstringseachrow',
  'ndjson',
  'rowbinary',
  'tabseparated',
  'tabseparatedraw',
  'tsv',
  'tsvraw',
])

export function isStreamed(format: string): boolean {
  return STREAMED.has(format.toLowerCase())
}

export function contentType(format: string): string {
  const name = format.toLowerCase()
  if (name.includes('eachrow') || name === 'ndjson' || name === 'jsonlines')
    return 'application/x-ndjson; charset=UTF-8'
  if (name.startsWith('json')) return 'application/json; charset=UTF-8'
  if (name.startsWith('csv')) return 'text/csv; charset=UTF-8; header=absent'
  if (name.startsWith('tsv') || name.startsWith('tabseparated')) return 'text/tab-separated-values; charset=UTF-8'
  if (/^(rowbinary|native|parquet|arrow|avro|orc|bson|msgpack)/.test(name)) return 'application/octet-stream'
  return 'text/plain; charset=UTF-8'
}

/** The format that a statement names at its end, if it names one. */
export function namedFormat(sql: string): string | undefined {
  return /\bFORMAT\s+([A-Za-z][A-Za-z0-9]*)\s*(?:SETTINGS\b[^;]*)?;?\s*$/i.exec(sql)?.[1]
}
