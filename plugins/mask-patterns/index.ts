/**
 * Masks values of well-known kinds by their content, wherever they stand in the texts of a body: payment cards, social
 * security numbers, addresses, tokens, keys. A second net behind masks that go by place, not one in their stead.
 */
import * as z from 'zod'
import type {
  BodyHead,
  Masked,
  Obligation,
  Plugin,
  Reason,
  Statement,
  Transform,
  Unfulfilled,
} from '../../src/plugin.ts'
import { hasherOf, readKeys, type TextHasher } from '../../src/statement/hmac.ts'
import { formOf, isUtf8, NOTHING, type BodyForm, type Bytes } from '../../src/statement/json/body.ts'
import { EventStream } from '../../src/statement/json/events.ts'
import { FormBody } from '../../src/statement/json/form.ts'
import { JsonStrings, type TextChange } from '../../src/statement/json/strings.ts'
import { partial, REDACTED } from '../../src/statement/json/value.ts'
import { strategyName, type Mask } from '../../src/statement/strategy.ts'
import { isCard } from './digits.ts'
import { find, KINDS, type Kind } from './find.ts'
import { asked, terms, type Asked } from './terms.ts'

const reference = z.string().regex(/^(env|file):.+$/, 'a reference such as `env:SLUICE_MASK_KEY`')
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name of small letters, digits and dashes')

/** `{ keys: { default: 'env:SLUICE_MASK_KEY' } }`: the keys of strategy `hash`. */
const options = z.strictObject({ keys: z.record(name, reference).default({}) }).default({ keys: {} })

type Hashers = ReadonlyMap<string, TextHasher>

export const maskPatterns: Plugin<z.output<typeof options>> = {
  name: 'mask-patterns',
  options,
  async create({ keys }, runtime) {
    const pads = await readKeys(keys, runtime)
    const hashers = new Map([...pads].map(([key, blocks]) => [key, hasherOf(blocks)]))
    return {
      fulfil: {
        'mask-patterns': {
          terms,
          language: 'http',
          before: (statement, obligation) => promised(statement, obligation, hashers),
          answer: (head, obligation) => transform(head, asked(obligation.terms, 'response'), hashers),
          request: (head, obligation) => transform(head, asked(obligation.terms, 'request'), hashers),
        },
      },
    }
  },
}

/** The statement with the masks that its answer will carry. */
function promised(statement: Statement, { terms: all }: Obligation, hashers: Hashers): Statement | Unfulfilled {
  const [response, request] = [asked(all, 'response'), asked(all, 'request')]
  const barrier = keyless(response, hashers) ?? keyless(request, hashers)
  if (barrier !== undefined) return barrier
  // Demanded of SQL, it denies: the gateway sees to that by its language.
  if (statement.language !== 'http') return statement
  const added = KINDS.flatMap((kind): readonly Masked[] => {
    const mask = response.masks.get(kind)
    return mask === undefined ? [] : [{ resource: statement.operation, column: kind, strategy: strategyName(mask) }]
  })
  return { ...statement, masks: [...statement.masks, ...added] }
}

function keyless({ masks }: Asked, hashers: Hashers): Unfulfilled | undefined {
  const key = [...masks.values()]
    .flatMap((mask) => (mask.strategy === 'hash' ? [mask.key] : []))
    .find((it) => !hashers.has(it))
  if (key === undefined) return undefined
  return unfulfilled({
    code: 'mask-key-unknown',
    because: `policy hashes with key \`${key}\`, which is not configured`,
    fix: `ask the policy owner to set \`plugins.mask-patterns.keys.${key}\``,
  })
}

function transform(head: BodyHead, plan: Asked, hashers: Hashers): Transform | Unfulfilled | undefined {
  if (plan.masks.size === 0) return undefined
  const barrier = keyless(plan, hashers)
  if (barrier !== undefined) return barrier
  const { contentType, charset, status } = head
  if (plan.passTypes.includes(contentType)) return undefined
  const patterns = new Patterns(plan.masks, hashers)
  // An answer may have nothing to say and no type to say it in; a request that is here has a body.
  if (contentType === '' && status !== undefined) return patterns.over(NOTHING)
  const form = formOf(contentType)
  if (form === undefined) {
    return unfulfilled({
      code: 'mask-content-type',
      because:
        contentType === ''
          ? 'a body without a content type cannot be masked'
          : `a body of type \`${contentType}\` cannot be masked`,
      fix:
        contentType === ''
          ? 'send `Content-Type: application/json`'
          : `ask for JSON, or have the policy owner list \`${contentType}\` under \`passTypes\` if it holds nothing to mask`,
    })
  }
  if (!isUtf8(charset)) {
    return unfulfilled({
      code: 'mask-charset',
      because: `a body in charset \`${charset}\` cannot be masked`,
      fix: 'have it sent in UTF-8',
    })
  }
  return patterns.over(reader(form, patterns))
}

function reader(form: BodyForm, patterns: Patterns): Bytes {
  switch (form) {
    case 'document':
      return new JsonStrings(patterns, 'one')
    case 'documents':
      return new JsonStrings(patterns, 'many')
    case 'events':
      return new EventStream(
        () => new JsonStrings(patterns, 'one'),
        (text) => patterns.text(text) ?? text,
      )
    case 'form':
      return new FormBody((pair) => {
        const [masked, value] = [patterns.text(pair.name), patterns.text(pair.value)]
        if (masked === undefined && value === undefined) return undefined
        return { name: masked ?? pair.name, value: value ?? pair.value }
      })
  }
}

/** What is masked in one body, and how often. */
class Patterns implements TextChange {
  readonly #masks: ReadonlyMap<Kind, Mask>
  readonly #kinds: readonly Kind[]
  readonly #hashers: Hashers
  readonly #counts = new Map<Kind, number>()
  #tooLong = 0

  constructor(masks: ReadonlyMap<Kind, Mask>, hashers: Hashers) {
    this.#masks = masks
    this.#kinds = [...masks.keys()]
    this.#hashers = hashers
  }

  text(text: string): string | undefined {
    const all = find(text, this.#kinds)
    if (all.length === 0) return undefined
    let out = ''
    let at = 0
    for (const { kind, start, end } of all) {
      out += text.slice(at, start) + this.#masked(kind, text.slice(start, end))
      at = end
    }
    return out + text.slice(at)
  }

  number(text: string): string | undefined {
    return this.#masks.has('card') && /^\d+$/.test(text) && isCard(text) ? this.#masked('card', text) : undefined
  }

  tooLong(): void {
    this.#tooLong++
  }

  over(bytes: Bytes): Transform {
    return {
      push: (chunk) => bytes.push(chunk),
      end: () => bytes.end(),
      counts: () => [
        ...[...this.#counts].map(([kind, count]) => ({
          column: kind,
          strategy: strategyName(this.#masks.get(kind) ?? { strategy: 'redact' }),
          count,
        })),
        ...(this.#tooLong > 0 ? [{ column: 'too-long', strategy: 'redact', count: this.#tooLong }] : []),
      ],
    }
  }

  #masked(kind: Kind, text: string): string {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    const mask = this.#masks.get(kind)
    if (mask?.strategy === 'partial') return partial(mask, text)
    if (mask?.strategy === 'hash') return this.#hashers.get(mask.key)?.(text) ?? REDACTED
    return REDACTED
  }
}

function unfulfilled(reason: Reason): Unfulfilled {
  return { unfulfilled: reason }
}
