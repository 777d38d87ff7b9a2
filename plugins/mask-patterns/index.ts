/**
 * Masks values of well-known kinds by their content, wherever they stand in the texts of a body or of rows: payment cards, social
 * security numbers, addresses, tokens, keys. A second net behind masks that go by place, not one in their stead.
 */
import * as z from 'zod'
import type {
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
import { hasherOf, readKeys } from '../../src/statement/hmac.ts'
import { NOTHING, readingOf, withoutMark, type BodyForm, type Bytes } from '../../src/statement/json/body.ts'
import { EventStream } from '../../src/statement/json/events.ts'
import { FormBody } from '../../src/statement/json/form.ts'
import { JsonStrings } from '../../src/statement/json/strings.ts'
import { strategyName } from '../../src/statement/strategy.ts'
import { KINDS } from './find.ts'
import { Patterns, type Hashers } from './patterns.ts'
import { maskRows } from './rows.ts'
import { asked, terms, type Asked } from './terms.ts'

const reference = z.string().regex(/^(env|file):.+$/, 'a reference such as `env:SLUICE_MASK_KEY`')
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name of small letters, digits and dashes')

/** `{ keys: { default: 'env:SLUICE_MASK_KEY' } }`: the keys of strategy `hash`. */
const options = z.strictObject({ keys: z.record(name, reference).default({}) }).default({ keys: {} })

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
          before: (statement, obligation) => promised(statement, obligation, hashers),
          answer: (head, obligation, _, originals) =>
            transform(head, asked(obligation.terms, 'response'), hashers, originals),
          request: (head, obligation, _, originals) =>
            transform(head, asked(obligation.terms, 'request'), hashers, originals),
          after: (batch, obligation, { statement }) =>
            maskRows(batch, obligation, statement.language === 'googlesql' ? statement.output : [], hashers),
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
  // Of rows nobody knows beforehand what is found in them.
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

function transform(
  head: BodyHead,
  plan: Asked,
  hashers: Hashers,
  originals: Originals | undefined,
): Transform | Unfulfilled | undefined {
  if (plan.masks.size === 0) return undefined
  const barrier = keyless(plan, hashers)
  if (barrier !== undefined) return barrier
  const { contentType, charset, status } = head
  if (plan.passTypes.includes(contentType)) return undefined
  const patterns = new Patterns(plan.masks, hashers, originals)
  // An answer may have nothing to say and no type to say it in; a request that is here has a body.
  if (contentType === '' && status !== undefined) return patterns.over(NOTHING)
  const form = readingOf(contentType, charset)
  if (typeof form !== 'string') return unfulfilled(form)
  return patterns.over(reader(form, patterns))
}

function reader(form: BodyForm, patterns: Patterns): Bytes {
  switch (form) {
    case 'document':
      return withoutMark(new JsonStrings(patterns, 'one'))
    case 'documents':
      return withoutMark(new JsonStrings(patterns, 'many'))
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

function unfulfilled(reason: Reason): Unfulfilled {
  return { unfulfilled: reason }
}
