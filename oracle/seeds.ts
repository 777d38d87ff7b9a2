/** The texts that mutants are made of: our own, one statement from blank line to blank line, and those of a corpus. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export function ownSeeds(): string[] {
  const folder = join(import.meta.dirname, 'seeds')
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql'))
  return files.toSorted().flatMap((name) => statementsOf(readFileSync(join(folder, name), 'utf8')))
}

/** `sql` of each line. */
export function seedsOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line.trim() !== '').map((line) => (JSON.parse(line) as { readonly sql: string }).sql)
}

function statementsOf(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
