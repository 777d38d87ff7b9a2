/** The terms that a policy writes: which columns, and how each is masked. */
import { JSONPath } from 'jsonpath-plus'
import * as z from 'zod'
import { maskOf, strongest, type Mask } from '../../src/statement/strategy.ts'

const keep = z.int('a whole number of characters').min(0).max(64)

const STRATEGY_WORDS = '`redact`, `null`, `partial`, `hash`, `year`, or a strategy with its options'
const words = z.enum(['redact', 'null', 'partial', 'hash', 'year'], { error: () => STRATEGY_WORDS })
const objects = [
  z.strictObject({ strategy: z.literal('redact') }),
  z.strictObject({ strategy: z.literal('null') }),
  z.strictObject({ strategy: z.literal('year') }),
  z.strictObject({ strategy: z.literal('partial'), keepFirst: keep.exactOptional(), keepLast: keep.exactOptional() }),
  z.strictObject({ strategy: z.literal('hash'), key: z.string().min(1).max(64).exactOptional() }),
  z
    .strictObject({
      strategy: z.literal('truncate'),
      to: z.enum(['YEAR', 'MONTH']).exactOptional(),
      step: z.int('a whole number').min(1).max(1e12).exactOptional(),
    })
    .refine(
      (value) => (value.to === undefined) !== (value.step === undefined),
      'either `to` (dates) or `step` (numbers)',
    ),
] as const
const strategy = z.union([words, z.discriminatedUnion('strategy', objects)], {
  // The options of a strategy keep their own words; a text that is none gets all of them.
  error: () => STRATEGY_WORDS,
})

const part = String.raw`[^.$\s][^.$]*`
/** `dataset.table.column…` with at least three dotted parts. */
const COLUMN = new RegExp(`^${part}(?:\\.${part}){2,}$`)

const key = z
  .string()
  .max(1_024)
  .superRefine((text, context) => {
    const problem = keyProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: text })
  })

/** `{ columns: { 'shop.customers.email': 'hash', … } }`. Parsing what it has parsed changes nothing. */
export const terms = z.strictObject({
  columns: z
    .record(key, strategy)
    .refine((columns) => Object.keys(columns).length > 0, 'at least one column')
    .refine((columns) => Object.keys(columns).length <= 10_000, 'at most 10000 columns'),
})

/** One line of `columns`. */
export interface ColumnMask {
  /** Resource and column path, as the policy has them: `shop.customers.address.street`. */
  readonly path: string
  /** A path inside a JSON column: `$.card`, `$.cards[0]`. */
  readonly json?: string
  readonly mask: Mask
}

/** What all terms together ask, one line per column; where they differ, what satisfies each of them. */
export function columnMasks(all: readonly unknown[]): readonly ColumnMask[] {
  const found = new Map<string, ColumnMask>()
  for (const term of all) {
    for (const [text, written] of Object.entries(terms.parse(term).columns)) {
      const earlier = found.get(text)
      const mask = maskOf(written)
      found.set(text, { ...split(text), mask: earlier === undefined ? mask : strongest(earlier.mask, mask) })
    }
  }
  return [...found.keys()].sort().flatMap((text) => found.get(text) ?? [])
}

function split(text: string): { readonly path: string; readonly json?: string } {
  const at = text.indexOf('.$')
  return at < 0 ? { path: text } : { path: text.slice(0, at), json: text.slice(at + 1) }
}

function keyProblem(text: string): string | undefined {
  const { path, json } = split(text)
  if (!COLUMN.test(path)) return 'a column such as `shop.customers.email` or `shop.customers.metadata.$.card`'
  return json === undefined ? undefined : jsonPathProblem(json)
}

const MEMBER = /^[A-Za-z_][\w-]{0,127}$/
const INDEX = /^\d{1,6}$/

/** Only plain members and indexes: a wildcard or filter has no fixed number of places for JSON_SET to write to. */
function jsonPathProblem(json: string): string | undefined {
  const expected = 'a JSON path of plain members and indexes such as `$.card` or `$.cards[0].number`'
  const [root, ...steps] = JSONPath.toPathArray(json)
  if (root !== '$' || steps.length === 0 || steps.length > 16) return expected
  if (!steps.every((step) => MEMBER.test(step) || INDEX.test(step))) return expected
  // What the parser read must be what is written: it takes `$.0` and `$[0]` for the same, and BigQuery does not.
  const plain = '$' + steps.map((step) => (INDEX.test(step) ? `[${step}]` : `.${step}`)).join('')
  return plain === json ? undefined : expected
}
