/** A warehouse of the sandbox that no other test writes to, as its administrator sees it: without a gateway, unmasked. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPart } from '../../sandbox/parts.ts'

let address = ''

export interface OwnWarehouse {
  readonly url: string
  stop(): Promise<void>
}

/** Starts it; `told` and `done` ask it from then on. */
export async function startWarehouse(): Promise<OwnWarehouse> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-leaks-'))
  const part = await startPart('warehouse', { port: 0, data })
  address = part.url
  return {
    url: part.url,
    async stop() {
      await part.stop()
      rmSync(data, { recursive: true, force: true })
    },
  }
}

export interface Told {
  readonly rows?: readonly (readonly string[])[]
  readonly error?: string
}

interface Cell {
  readonly v: unknown
}

interface Field {
  readonly type: string
  readonly fields?: readonly Field[]
}

interface Body {
  readonly error?: { readonly message: string }
  readonly schema?: { readonly fields?: readonly Field[] }
  readonly rows?: readonly { readonly f: readonly Cell[] }[]
}

/** Rows as lists of leaves, or the warehouse's error. */
export async function told(query: string, dryRun = false): Promise<Told> {
  const answer = await fetch(`${address}/projects/sluice-sandbox/queries`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, useLegacySql: false, dryRun, maxResults: 10_000, timeoutMs: 60_000 }),
  })
  const { error, schema, rows = [] } = (await answer.json()) as Body
  if (error !== undefined) return { error: error.message }
  const fields = schema?.fields ?? []
  return { rows: rows.map(({ f }) => f.flatMap(({ v }, at) => leaves(v, fields[at]))) }
}

/** What the sandbox says where it, and not the statement, is at fault; `undefined` where it says something else. */
export function notHere(error: string | undefined): string | undefined {
  if (error === undefined) return undefined
  return /not supported in the sandbox|multiple overloads|^Syntax error/.test(error) ? error : undefined
}

/** Runs what makes or drops something. */
export async function done(statements: readonly string[]): Promise<void> {
  for (const sql of statements) {
    const { error } = await told(sql)
    if (error !== undefined) throw new Error(`${error}\n${sql.slice(0, 500)}`)
  }
}

function leaves(value: unknown, field: Field | undefined): string[] {
  if (value === null) return ['NULL']
  if (Array.isArray(value)) return ['[', ...value.flatMap((item: Cell) => leaves(item.v, field)), ']']
  if (typeof value === 'object') {
    return ['{', ...(value as { f: Cell[] }).f.flatMap(({ v }, at) => leaves(v, field?.fields?.[at])), '}']
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (field?.type === 'FLOAT') return [rounded(Number(text))]
  return [field?.type === 'TIMESTAMP' ? moment(text) : text]
}

/** Seconds since 1970 with a fraction, as the gateway writes a moment. */
function moment(text: string): string {
  const [seconds = '', fraction = ''] = text.replace('-', '').split('.')
  const micros = BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  const signed = text.startsWith('-') ? -micros : micros
  const below = ((signed % 1_000_000n) + 1_000_000n) % 1_000_000n
  const whole = new Date(Number((signed - below) / 1000n)).toISOString().slice(0, 19)
  return `${whole}.${String(below).padStart(6, '0')}Z`
}

/** Rows of the gateway's answer as the same lists of leaves. */
export function leavesOf(rows: readonly (readonly unknown[])[]): string[][] {
  return rows.map((row) => row.flatMap(leavesOfValue))
}

function leavesOfValue(value: unknown): string[] {
  if (value === null) return ['NULL']
  if (Array.isArray(value)) return ['[', ...value.flatMap(leavesOfValue), ']']
  if (typeof value === 'object') return ['{', ...Object.values(value).flatMap(leavesOfValue), '}']
  return [typeof value === 'number' ? rounded(value) : typeof value === 'string' ? value : JSON.stringify(value)]
}

/** Sums of FLOAT64 differ in their last digits from run to run. */
const rounded = (value: number): string => String(Number(value.toPrecision(10)))

/** One line a row, in no order. */
export function unordered(rows: readonly (readonly string[])[]): readonly string[] {
  return rows.map((row) => row.join('\u0001')).toSorted()
}
