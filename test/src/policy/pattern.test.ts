import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileName, compilePatterns } from '../../../src/policy/pattern.ts'

describe('a list of patterns', () => {
  test.each([
    [['shop.*'], 'shop.orders', true],
    [['shop.*'], 'shop.', true],
    [['shop.*'], 'shop', false],
    [['shop.*'], 'shop.a.b', false],
    [['shop.*'], 'xshop.a', false],
    [['shop.*'], 'shopxa', false],
    [['shop.**'], 'shop.a.b', true],
    [['**'], 'anything.at.all', true],
    [['**'], '', false],
    [['*'], '', false],
    [[''], '', true],
    [[''], 'a', false],
    [['*.orders'], 'shop.orders', true],
    [['*.orders'], 'x.shop.orders', false],
    [['**.orders'], 'x.shop.orders', true],
    [['a*b*c*d'], 'aXbXcXd', true],
    [['a*b*c*d'], 'aXbXc', false],
    [['a*b*c*d.**'], 'abcd.x.y', true],
    [['shop.*', '!shop.secret_*'], 'shop.secret_a', false],
    [['!shop.secret_*', 'shop.*'], 'shop.secret_a', false],
    [['shop.*', '!shop.secret_*'], 'shop.secre', true],
    [['shop.a+(b)[c]{d}|e$^\\'], 'shop.a+(b)[c]{d}|e$^\\', true],
    [['shop.a+'], 'shop.aa', false],
    [['GET /customers/*'], 'GET /customers/{id}', true],
    [['GET /customers/*'], 'GET /customers/{id}/orders', false],
    [['GET /customers/**'], 'GET /customers/{id}/orders', true],
    [['* /customers/{id}'], 'DELETE /customers/{id}', true],
    [['get*'], 'getCustomer', true],
    [['shop.Größe'], 'shop.Größe', true],
    [['shop.𝒳*'], 'shop.𝒳1', true],
  ])('%j and %j: %s', (patterns, resource, matches) => {
    const compiled = compilePatterns(patterns)
    expect(compiled.covers(resource)).toBe(matches)
    expect(compiled.touches(resource)).toBe(matches)
  })

  test.each([
    // patterns, wildcard table, all of it, any of it
    [['shop.*'], 'shop.events_*', true, true],
    [['shop.events_2*'], 'shop.events_*', false, true],
    [['shop.events_x'], 'shop.events_*', false, true],
    [['shop.orders'], 'shop.events_*', false, false],
    [['crm.*'], 'shop.events_*', false, false],
    [['**'], 'shop.events_*', true, true],
    [['shop.*.x'], 'shop.events_*', false, false],
    [['*.events_x'], 'shop.events_*', false, true],
    [['shop.*', '!shop.events_x'], 'shop.events_*', false, true],
    [['shop.*', '!shop.events_*'], 'shop.events_*', false, false],
    [['shop.*', '!shop.orders'], 'shop.events_*', true, true],
  ])('%j and the wildcard table %j: all %s, any %s', (patterns, resource, all, any) => {
    const compiled = compilePatterns(patterns)
    expect([compiled.covers(resource), compiled.touches(resource)]).toEqual([all, any])
  })

  test('differs by case in what it covers, and not in what it touches or takes away', () => {
    const shop = compilePatterns(['Shop.*', '!Shop.Secret'])
    const of = (resource: string) => [shop.covers(resource), shop.touches(resource)]
    expect(of('Shop.a')).toEqual([true, true])
    expect(of('shop.A')).toEqual([false, true])
    expect(of('Shop.Secret')).toEqual([false, false])
    expect(of('Shop.SECRET')).toEqual([false, true])
    expect(of('Shop.sec*')).toEqual([false, true])
  })

  test('agrees with a plain definition on every small text', () => {
    const piece = fc.constantFrom('a', 'b', '.', '*', '**', 'x')
    const pattern = fc.array(piece, { minLength: 1, maxLength: 7 }).map((parts) => parts.join(''))
    const resource = fc
      .array(fc.constantFrom('a', 'b', '.', 'x'), { minLength: 1, maxLength: 7 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(pattern, resource, (glob, text) => {
        expect(compilePatterns([glob]).covers(text)).toBe(plainly(glob, text))
      }),
      { numRuns: 3_000 },
    )
  })

  test('covers a wildcard table only if it matches whatever stands in the place of the wildcard', () => {
    const piece = fc.constantFrom('a', 'b', '.', '*', '**')
    const pattern = fc.array(piece, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''))
    const list = fc.tuple(fc.array(pattern, { minLength: 1, maxLength: 2 }), fc.array(pattern, { maxLength: 2 }))
    const prefix = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 4 }).map((parts) => parts.join(''))
    const suffix = fc.array(fc.constantFrom('a', 'b'), { maxLength: 4 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(list, prefix, suffix, ([plain, without], start, end) => {
        const compiled = compilePatterns([...plain, ...without.map((each) => `!${each}`)])
        if (start + end === '') return
        const unsound = compiled.covers(`${start}*`) && !compiled.covers(start + end)
        const blind = compiled.touches(start + end) && !compiled.touches(`${start}*`)
        expect([unsound, blind]).toEqual([false, false])
      }),
      { numRuns: 3_000 },
    )
  })

  test('takes no long time on patterns and names made to take one', () => {
    const compiled = compilePatterns([`${'a*'.repeat(100)}b`, `${'a**'.repeat(100)}b`])
    const started = performance.now()
    expect(compiled.covers('a'.repeat(1_000))).toBe(false)
    expect(compiled.touches(`${'a'.repeat(1_000)}*`)).toBe(true)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

test('a kind of statement matches by name or with wildcards, whole', () => {
  expect(compileName('DROP_*').test('DROP_TABLE')).toBe(true)
  expect(compileName('DROP_*').test('XDROP_TABLE')).toBe(false)
  expect(compileName('SELECT').test('SELECT')).toBe(true)
  expect(compileName('SELECT').test('SELECTED')).toBe(false)
})

/** The definition, as slow as it is plain. */
function plainly(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  const stars = /^\*+/.exec(glob)?.[0]
  if (stars === undefined) return glob[0] === text[0] && plainly(glob.slice(1), text.slice(1))
  for (let taken = 0; taken <= text.length; taken += 1) {
    if (stars.length === 1 && text.slice(0, taken).includes('.')) return false
    if (plainly(glob.slice(stars.length), text.slice(taken))) return true
  }
  return false
}
