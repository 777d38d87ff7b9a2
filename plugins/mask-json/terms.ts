/** The terms that a policy writes: which places of a body, and how each is masked. */
import { JSONPath } from 'jsonpath-plus'
import * as z from 'zod'
import { formOf } from '../../src/statement/json/body.ts'
import { parseJsonPath, type JsonPath } from '../../src/statement/json/path.ts'
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
const strategy = z.union([words, z.discriminatedUnion('strategy', objects)], { error: () => STRATEGY_WORDS })

const path = z
  .string()
  .max(1_024)
  .superRefine((text, context) => {
    const problem = pathProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: text })
  })

const paths = z
  .record(path, strategy)
  .refine((value) => Object.keys(value).length > 0, 'at least one path')
  .refine((value) => Object.keys(value).length <= 1_000, 'at most 1000 paths')

const passType = z
  .string()
  .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/, 'a content type such as `image/png`')
  .refine((type) => formOf(type) === undefined, 'a type that masks can be put in is masked, and never just passes')

/** `{ response: { '$.email': 'hash' }, request: {…}, passTypes: ['image/png'] }`. Parsing what it has parsed changes nothing. */
export const terms = z
  .strictObject({
    response: paths.exactOptional().describe('JSON paths of answers, and how each is masked.'),
    request: paths.exactOptional().describe('The same of the bodies of requests, before they are forwarded.'),
    passTypes: z
      .array(passType)
      .max(100)
      .exactOptional()
      .describe('Content types without masks that pass as they are; any other is refused.'),
  })
  .refine((value) => value.response !== undefined || value.request !== undefined, '`response` or `request`')

/** One line of `response` or `request`. */
export interface PathMask {
  /** As the policy has it. */
  readonly path: string
  readonly steps: JsonPath
  readonly mask: Mask
}

/** What all terms together ask of a body that goes this way. */
export interface Asked {
  /** One line per path, sorted; where terms differ, what satisfies each of them. */
  readonly masks: readonly PathMask[]
  /** Only what each of the terms that mask this way lets pass. */
  readonly passTypes: readonly string[]
}

export function asked(all: readonly unknown[], way: 'response' | 'request'): Asked {
  const found = new Map<string, PathMask>()
  const passing: (readonly string[])[] = []
  for (const term of all) {
    const parsed = terms.parse(term)
    const lines = parsed[way]
    if (lines === undefined) continue
    passing.push(parsed.passTypes ?? [])
    for (const [text, written] of Object.entries(lines)) {
      const earlier = found.get(text)?.mask
      const mask = maskOf(written)
      found.set(text, { path: text, steps: steps(text), mask: earlier === undefined ? mask : strongest(earlier, mask) })
    }
  }
  return {
    masks: [...found.keys()].sort().flatMap((text) => found.get(text) ?? []),
    passTypes: [...new Set(passing.flat())].filter((type) => passing.every((types) => types.includes(type))).sort(),
  }
}

function steps(text: string): JsonPath {
  const parsed = parseJsonPath(text)
  // `terms` has let no such path through.
  if ('problem' in parsed) throw new Error(`expected ${parsed.problem}`)
  return parsed.steps
}

/** What jsonpath-plus knows and no mask can use, in words. */
const BEYOND: readonly (readonly [RegExp, string])[] = [
  [/\?\s*\(/, 'a path without filters: `[*]` masks every element'],
  [/\[\s*\(/, 'a path without scripts: an index such as `[0]`, or `[*]`'],
  [/[\^~]/, 'a path that goes down only, to values: no `^` and no `~`'],
  [/\[[^\]']*,|'\s*,\s*'/, 'a path without unions: write one line for each'],
  [/\[\s*(?::\s*)?-/, 'a path without places counted from the end: a body is masked while it streams'],
  [/@/, 'a path without types and `@`: a mask goes by place'],
]

function pathProblem(text: string): string | undefined {
  const parsed = parseJsonPath(text)
  if ('problem' in parsed) return BEYOND.find(([pattern]) => pattern.test(text))?.[1] ?? parsed.problem
  // Two readers must see the same path, or a policy's writer and we may not.
  const ours = parsed.steps.flatMap((step) => [...(step.descends ? ['..'] : []), ...stepTexts(step)])
  const theirs = JSONPath.toPathArray(text).slice(1)
  const isSame = ours.length === theirs.length && ours.every((it, i) => it === '' || it === theirs[i])
  return isSame ? undefined : "a path that reads one way only: put a name with signs as `['a-b']`"
}

/** As jsonpath-plus gives it; '' for a range, which it gives as it is written. */
function stepTexts(step: JsonPath[number]): readonly string[] {
  if (step.is === 'name') return [step.name]
  return [step.is === 'any' ? '*' : '']
}
