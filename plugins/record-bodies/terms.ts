/** The terms that a policy writes: how much of which body is recorded, and what in it is secret. */
import * as z from 'zod'
import type { Keep } from '../../src/plugin.ts'
import { parseJsonPath, type JsonPath } from '../../src/statement/json/path.ts'

const KEEP_WORDS = '`full`, `digest`, or `{ first: 64KiB }`'

/** Largest beginning: who wants more wants all. */
const FIRST_MOST = 1_073_741_824

const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 }

const BYTES_WORDS = 'bytes, such as `64KiB`'

/** `4096` or `'64KiB'`. */
const bytes = z
  .union([z.int(BYTES_WORDS).min(1, BYTES_WORDS), z.string().regex(/^[1-9]\d{0,9}(KiB|MiB|GiB)?$/, BYTES_WORDS)], {
    error: () => BYTES_WORDS,
  })
  .transform((value) => {
    if (typeof value === 'number') return value
    const [, digits = '', unit = ''] = /^(\d+)(.*)$/.exec(value) ?? []
    return Number(digits) * (UNITS[unit] ?? 0)
  })
  .refine((value) => value >= 1 && value <= FIRST_MOST, 'at most `1GiB`')

const keep = z.union([z.literal('full'), z.literal('digest'), z.strictObject({ first: bytes })], {
  error: () => KEEP_WORDS,
})

const secret = z
  .string()
  .min(1)
  .max(1_024)
  .superRefine((text, context) => {
    const problem = secretProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: text })
  })

/** `{ request: full, answer: { first: 64KiB }, secrets: ['shop.customers.email', '$.token'], seal: true }` */
export const terms = z
  .strictObject({
    request: keep.exactOptional().describe('The parameters of SQL, or the body of an HTTP request.'),
    answer: keep.exactOptional().describe('The rows of SQL, or the body of an HTTP answer.'),
    secrets: z
      .array(secret)
      .max(1_000)
      .exactOptional()
      .describe('Columns, `@parameters` and JSON paths whose values are recorded as keyed digests.'),
    seal: z.boolean().exactOptional().describe('Encrypt originals of masked values of HTTP bodies for the auditors.'),
  })
  .refine(
    ({ request, answer, seal }) => request !== undefined || answer !== undefined || seal === true,
    'at least one of `request`, `answer` and `seal: true`',
  )

/** What all terms together ask. */
export interface Asked {
  readonly request?: Keep
  readonly answer?: Keep
  readonly seal: boolean
  /** Small letters: `shop.customers.email`, or the name of an output column. */
  readonly columns: readonly string[]
  /** Small letters, without the `@`; `*` means all. */
  readonly parameters: readonly string[]
  readonly paths: readonly JsonPath[]
}

/** The most of each that any of them wants kept; secrets of all. */
export function asked(all: readonly unknown[]): Asked {
  const parsed = all.map((term) => terms.parse(term))
  const secrets = [...new Set(parsed.flatMap((term) => term.secrets ?? []))].sort()
  const request = most(parsed.flatMap((term) => term.request ?? []))
  const answer = most(parsed.flatMap((term) => term.answer ?? []))
  return {
    ...(request !== undefined && { request }),
    ...(answer !== undefined && { answer }),
    seal: parsed.some((term) => term.seal === true),
    columns: secrets.filter((it) => !/^[$@]/.test(it)).map((it) => it.toLowerCase()),
    parameters: secrets.filter((it) => it.startsWith('@')).map((it) => it.slice(1).toLowerCase()),
    paths: secrets.filter((it) => it.startsWith('$')).map(steps),
  }
}

function most(all: readonly Keep[]): Keep | undefined {
  return all.toSorted((a, b) => weight(b) - weight(a))[0]
}

function weight(it: Keep): number {
  if (it === 'full') return Infinity
  return it === 'digest' ? 0 : it.first
}

function steps(text: string): JsonPath {
  const parsed = parseJsonPath(text)
  // `terms` has let no such path through.
  if ('problem' in parsed) throw new Error(`expected ${parsed.problem}`)
  return parsed.steps
}

function secretProblem(text: string): string | undefined {
  if (text.startsWith('$')) {
    const parsed = parseJsonPath(text)
    return 'problem' in parsed ? parsed.problem : undefined
  }
  if (text.startsWith('@')) {
    return /^@(\*|[A-Za-z_]\w*)$/.test(text) ? undefined : 'a parameter such as `@email`, or `@*` for all of them'
  }
  return /^[^\s$@.][^\s$@]*$/.test(text) && !text.includes('..') && !text.endsWith('.')
    ? undefined
    : 'a column such as `shop.customers.email`, a `@parameter`, or a JSON path such as `$.email`'
}
