/** The terms that a policy writes: which kinds of values, and how each is masked. */
import * as z from 'zod'
import type { OutputColumn } from '../../src/plugin.ts'
import { formOf } from '../../src/statement/json/body.ts'
import { maskOf, strongest, type Mask } from '../../src/statement/strategy.ts'
import { KINDS, type Kind } from './find.ts'

const keep = z.int('a whole number of characters').min(0).max(64)
const STRATEGY_WORDS = '`redact`, `partial`, `hash`, or a strategy with its options'
const strategy = z.union(
  [
    z.enum(['redact', 'partial', 'hash'], { error: () => STRATEGY_WORDS }),
    z.discriminatedUnion('strategy', [
      z.strictObject({ strategy: z.literal('redact') }),
      z.strictObject({
        strategy: z.literal('partial'),
        keepFirst: keep.exactOptional(),
        keepLast: keep.exactOptional(),
      }),
      z.strictObject({ strategy: z.literal('hash'), key: z.string().min(1).max(64).exactOptional() }),
    ]),
  ],
  { error: () => STRATEGY_WORDS },
)

const kind = z.enum(KINDS, { error: () => KINDS.map((it) => `\`${it}\``).join(', ') })

const passType = z
  .string()
  .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/, 'a content type such as `image/png`')
  .refine((type) => formOf(type) === undefined, 'a type that masks can be put in is masked, and never just passes')

/** A resource and a column, and fields within it; `*` within one part. */
const COLUMN = /^(?=.{1,1024}$)[^\s`!.]+(?:\.[^\s`!.]+){2,}$/u

/** `{ kinds: all, strategy: redact }`. Parsing what it has parsed changes nothing. */
export const terms = z.strictObject({
  kinds: z.union([z.literal('all'), z.array(kind).min(1)]).describe('Which kinds of values, or `all`.'),
  strategy: strategy.exactOptional().describe('How each is masked; `redact` if nothing is said.'),
  bodies: z
    .array(z.enum(['response', 'request']))
    .min(1)
    .exactOptional()
    .describe('Bodies of answers, of requests, or both; `[response]` if nothing is said.'),
  columns: z
    .array(z.string().regex(COLUMN, 'a column such as `shop.tickets.body` or `shop.*.notes`'))
    .min(1)
    .max(1_000)
    .exactOptional()
    .describe('Of rows of SQL, only columns into which any of these flows. Absent: every column.'),
  passTypes: z
    .array(passType)
    .max(100)
    .exactOptional()
    .describe('Content types without masks that pass as they are; any other is refused.'),
})

/** What all terms together ask of a body that goes this way. */
export interface Asked {
  /** Where terms differ, what satisfies each of them. */
  readonly masks: ReadonlyMap<Kind, Mask>
  /** Only what each of the terms that mask this way lets pass. */
  readonly passTypes: readonly string[]
}

/** `column`: only the terms that are about this column of an answer of SQL; one of which nothing is known is meant by each. */
export function asked(all: readonly unknown[], way: 'response' | 'request', column?: OutputColumn): Asked {
  const parsed = all
    .map((term) => terms.parse(term))
    .filter(({ bodies }) => (bodies ?? ['response']).includes(way))
    .filter(({ columns }) => columns === undefined || column === undefined || isMeant(columns, column))
  const masks = new Map<Kind, Mask>()
  for (const term of parsed) {
    const mask = maskOf(term.strategy ?? 'redact')
    for (const it of term.kinds === 'all' ? KINDS : term.kinds) {
      const earlier = masks.get(it)
      masks.set(it, earlier === undefined ? mask : strongest(earlier, mask))
    }
  }
  const passing = parsed.map(({ passTypes }) => passTypes ?? [])
  return {
    masks,
    passTypes: [...new Set(passing.flat())].filter((type) => passing.every((types) => types.includes(type))),
  }
}

/** A pattern means the column itself, what contains it, and what it contains. Nothing that is made of no column is meant. */
function isMeant(patterns: readonly string[], { sources }: OutputColumn): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.toLowerCase().split('.')
    return sources.some((source) => {
      const names = source.toLowerCase().split('.')
      return parts.every((part, i) => names[i] === undefined || matches(part, names[i]))
    })
  })
}

function matches(pattern: string, name: string): boolean {
  return new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's').test(name)
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
}
