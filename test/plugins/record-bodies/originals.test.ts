/** What the masks tell of what they replace, where it is to be sealed; and that they mask the same where nobody listens. */
import { describe, expect, it } from 'vitest'
import { maskJson } from '../../../plugins/mask-json/index.ts'
import { maskPatterns } from '../../../plugins/mask-patterns/index.ts'
import type { Permitted } from '../../../src/exchange.ts'
import type { BodyHead, Fulfilment, Hooks, Originals, Transform } from '../../../src/plugin.ts'
import type { Runtime } from '../../../src/runtime.ts'

const runtime = { secrets: { read: async () => 'a key of the tests, long enough' } } as unknown as Runtime
const keys = { keys: { default: 'env:KEY' } }
const plugins: readonly (readonly [string, Hooks])[] = [
  ['mask-json', await maskJson.create(maskJson.options.parse(keys), runtime)],
  ['mask-patterns', await maskPatterns.create(maskPatterns.options.parse(keys), runtime)],
]

function fulfilmentOf(name: string): Fulfilment {
  const found = plugins.find(([it]) => it === name)?.[1].fulfil?.[name]
  if (found === undefined) throw new Error(`no ${name}`)
  return found
}

function masked(name: string, terms: unknown, way: 'answer' | 'request', contentType: string, text: string) {
  const fulfilment = fulfilmentOf(name)
  const head: BodyHead = { contentType, ...(way === 'answer' && { status: 200 }) }
  const obligation = { name, terms: [fulfilment.terms.parse(terms)] }
  const through = (originals?: Originals): string => {
    const transform = fulfilment[way]?.(head, obligation, {} as Permitted, originals) as Transform
    return Buffer.concat([transform.push(new TextEncoder().encode(text)).slice(), transform.end()]).toString()
  }
  const told: (readonly [string, string])[] = []
  const out = through((where, original) => void told.push([where, original]))
  expect(out).toBe(through())
  return { out, told }
}

describe('mask-json tells', () => {
  const terms = {
    response: { '$.email': 'hash', '$.card': 'redact', '$..phone': { strategy: 'partial', keepLast: 2 } },
  }
  it.each([
    ['application/json', '{"email":"ada@example.com","card":{"number":4111},"x":1,"more":[{"phone":"+1 555"}]}'],
    ['application/x-ndjson', '{"email":"ada@example.com","card":{"number":4111}}\n{"more":[{"phone":"+1 555"}]}\n'],
    ['text/event-stream', 'data: {"email":"ada@example.com","card":{"number":4111},"phone":"+1 555"}\n\n'],
  ])('each original of %s by its path', (contentType, text) => {
    expect(masked('mask-json', terms, 'answer', contentType, text).told).toEqual([
      ['$.email', 'ada@example.com'],
      ['$.card', '{"number":4111}'],
      ['$..phone', '+1 555'],
    ])
  })

  it('those of a form that is sent', () => {
    const { out, told } = masked(
      'mask-json',
      { request: { '$.email': 'redact' } },
      'request',
      'application/x-www-form-urlencoded',
      'email=ada%40example.com&x=1',
    )
    expect(out).toBe('email=%5Bredacted%5D&x=1')
    expect(told).toEqual([['$.email', 'ada@example.com']])
  })
})

describe('mask-patterns tells', () => {
  it('each find by its kind', () => {
    const { out, told } = masked(
      'mask-patterns',
      { kinds: ['email', 'card'] },
      'answer',
      'application/json',
      '{"note":"write to ada@example.com","card":4111111111111111}',
    )
    expect(out).toBe('{"note":"write to [redacted]","card":"[redacted]"}')
    expect(told).toEqual([
      ['email', 'ada@example.com'],
      ['card', '4111111111111111'],
    ])
  })
})
