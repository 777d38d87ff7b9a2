/**
 * Masks places of JSON bodies while they go by, answers and, where a policy says so, requests. What it cannot read it
 * refuses before a byte goes out, and what turns out to be something else it cuts.
 */
import * as z from 'zod'
import type {
  Answers,
  BodyHead,
  Masked,
  Obligation,
  Originals,
  Plugin,
  Reason,
  Statement,
  Transform,
  Unfulfilled,
} from '../../src/plugin.ts'
import { hasherOf, readKeys, type TextHasher } from '../../src/statement/hmac.ts'
import { NOTHING, readingOf, withoutMark, type BodyForm, type Bytes } from '../../src/statement/json/body.ts'
import { EventStream } from '../../src/statement/json/events.ts'
import { FormBody } from '../../src/statement/json/form.ts'
import { formMask } from '../../src/statement/json/form-mask.ts'
import { JsonMasker, JsonMasks, type JsonMaskerOptions } from '../../src/statement/json/masker.ts'
import { neverMatches } from '../../src/statement/json/schema.ts'
import { jsonMask } from '../../src/statement/json/value.ts'
import { strategyName, strongest, type Mask } from '../../src/statement/strategy.ts'
import { asked, terms, type PathMask } from './terms.ts'

const reference = z.string().regex(/^(env|file):.+$/, 'a reference such as `env:SLUICE_MASK_KEY`')
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name of small letters, digits and dashes')

/** `{ keys: { default: 'env:SLUICE_MASK_KEY' } }`: the keys of strategy `hash`. */
const options = z.strictObject({ keys: z.record(name, reference).default({}) }).default({ keys: {} })

export const maskJson: Plugin<z.output<typeof options>> = {
  name: 'mask-json',
  options,
  async create({ keys }, runtime) {
    const pads = await readKeys(keys, runtime)
    const plans = new Plans(new Map([...pads].map(([key, blocks]) => [key, hasherOf(blocks)])))
    return {
      fulfil: {
        'mask-json': {
          terms,
          language: 'http',
          misfits,
          before: (statement, obligation) => promised(statement, plans.of(obligation)),
          answer: (head, obligation, _, originals) => transform(head, plans.of(obligation), 'response', originals),
          request: (head, obligation, _, originals) => transform(head, plans.of(obligation), 'request', originals),
        },
      },
    }
  },
}

/** Masks of answers for which no answer that the rule is about has a place. */
function misfits(term: unknown, { schemas, resolve }: Answers): readonly string[] {
  const { masks } = asked([term], 'response')
  const never = schemas.map((schema) => {
    return new Set(
      neverMatches(
        masks.map(({ steps }) => steps),
        schema,
        resolve,
      ),
    )
  })
  return masks
    .filter((_, i) => never.length > 0 && never.every((positions) => positions.has(i)))
    .map(
      ({ path }) =>
        `a path that some answer of the API has a place for; \`${path}\` has none in any that this rule is about`,
    )
}

// ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What an obligation's terms come to for bodies that go one way. */
interface Way {
  readonly lines: readonly PathMask[]
  readonly masks: JsonMasks
  readonly passTypes: readonly string[]
}

interface Plan {
  /** Absent where nothing is asked. */
  readonly response?: Way
  readonly request?: Way
  /** A key that a term names and nobody configured. */
  readonly missingKey?: string
}

/** Plans that are remembered. There are as many as sets of rules that bind together. */
const PLANS = 256

class Plans {
  readonly #hashers: ReadonlyMap<string, TextHasher>
  readonly #known = new Map<string, Plan>()

  constructor(hashers: ReadonlyMap<string, TextHasher>) {
    this.#hashers = hashers
  }

  of({ terms: all }: Obligation): Plan {
    const key = JSON.stringify(all)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const plan = this.#made(all)
    if (this.#known.size >= PLANS) this.#known.clear()
    this.#known.set(key, plan)
    return plan
  }

  #made(all: readonly unknown[]): Plan {
    const [response, request] = [asked(all, 'response'), asked(all, 'request')]
    const missingKey = [...response.masks, ...request.masks]
      .flatMap(({ mask }) => (mask.strategy === 'hash' ? [mask.key] : []))
      .find((key) => !this.#hashers.has(key))
    if (missingKey !== undefined) return { missingKey }
    const way = ({ masks: lines, passTypes }: ReturnType<typeof asked>): Way => {
      const combined = (paths: readonly number[]): Mask => {
        const masks = paths.flatMap((path) => lines[path]?.mask ?? [])
        return masks.length === 0 ? { strategy: 'null' } : masks.reduce(strongest)
      }
      const masks = new JsonMasks(
        lines.map(({ steps }) => steps),
        (paths) => {
          const mask = combined(paths)
          return jsonMask(mask, mask.strategy === 'hash' ? this.#hashers.get(mask.key) : undefined)
        },
      )
      return { lines, masks, passTypes }
    }
    return {
      ...(response.masks.length > 0 && { response: way(response) }),
      ...(request.masks.length > 0 && { request: way(request) }),
    }
  }
}

// ── carrying out ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The statement with the masks that its answer will carry. */
function promised(statement: Statement, { response, missingKey }: Plan): Statement | Unfulfilled {
  if (missingKey !== undefined) return keyless(missingKey)
  // Demanded of SQL, it denies: the gateway sees to that by its language.
  if (statement.language !== 'http' || response === undefined) return statement
  const added = response.lines.map(({ path, mask }): Masked => ({
    resource: statement.operation,
    column: path,
    strategy: strategyName(mask),
  }))
  return { ...statement, masks: [...statement.masks, ...added] }
}

function transform(
  head: BodyHead,
  plan: Plan,
  to: 'response' | 'request',
  originals: Originals | undefined,
): Transform | Unfulfilled | undefined {
  if (plan.missingKey !== undefined) return keyless(plan.missingKey)
  const way = plan[to]
  if (way === undefined) return undefined
  const { contentType, charset, status } = head
  if (way.passTypes.includes(contentType)) return undefined
  const counts = way.lines.map(() => 0)
  // An answer may have nothing to say and no type to say it in; a request that is here has a body.
  if (contentType === '' && status !== undefined) return counted(NOTHING, way, counts)
  const form = readingOf(contentType, charset)
  if (typeof form !== 'string') return unfulfilled(form)
  const told = originals === undefined ? {} : { original: originalsOf(way, originals) }
  return counted(masker(form, way.masks, { counts, ...told }), way, counts)
}

type Told = Required<Pick<JsonMaskerOptions, 'counts'>> & Pick<JsonMaskerOptions, 'original'>

function masker(form: BodyForm, masks: JsonMasks, told: Told): Bytes {
  switch (form) {
    case 'document':
      return withoutMark(new JsonMasker(masks, { documents: 'one', ...told }))
    case 'documents':
      return withoutMark(new JsonMasker(masks, { documents: 'many', ...told }))
    case 'events':
      return new EventStream(() => new JsonMasker(masks, { documents: 'one', ...told }))
    case 'form':
      return new FormBody(formMask(masks, told.counts, told.original))
  }
}

/** Tells an original by the paths that masked it, as the policy has them. */
function originalsOf({ lines }: Way, originals: Originals): (paths: readonly number[], text: string) => void {
  return (paths, text) => originals(paths.map((path) => lines[path]?.path ?? '').join(' '), text)
}

function counted(bytes: Bytes, { lines }: Way, counts: readonly number[]): Transform {
  return {
    push: (chunk) => bytes.push(chunk),
    end: () => bytes.end(),
    counts: () =>
      lines.flatMap(({ path, mask }, i) => {
        const count = counts[i] ?? 0
        return count === 0 ? [] : [{ column: path, strategy: strategyName(mask), count }]
      }),
  }
}

function keyless(key: string): Unfulfilled {
  return unfulfilled({
    code: 'mask-key-unknown',
    because: `policy hashes with key \`${key}\`, which is not configured`,
    fix: `ask the policy owner to set \`plugins.mask-json.keys.${key}\``,
  })
}

function unfulfilled(reason: Reason): Unfulfilled {
  return { unfulfilled: reason }
}
