import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importsOf, projectSources, violations } from './support/import-table.ts'

const sources = projectSources(join(import.meta.dirname, '..'))

describe('the import table', () => {
  it('holds for every file, and there is no loop', () => {
    expect(violations(sources)).toEqual([])
  })

  it.each([
    [
      'src/policy/decide.ts',
      `import { createIdentity } from '../identity/index.ts'`,
      'src/policy/decide.ts imports src/identity/index.ts',
    ],
    ['src/gateway.ts', `import { Hono } from 'hono'`, 'src/gateway.ts imports the package hono'],
    ['src/gateway.ts', `import { plugins } from '../plugins/index.ts'`, 'src/gateway.ts imports plugins/index.ts'],
    [
      'plugins/limits/index.ts',
      `import type { Gateway } from '../../src/gateway.ts'`,
      'plugins/limits/index.ts imports src/gateway.ts',
    ],
    [
      'plugins/limits/index.ts',
      `import x from '../sql-risk/index.ts'`,
      'plugins/limits/index.ts imports plugins/sql-risk/index.ts',
    ],
    ['routes/query.ts', `export { plugins } from '../plugins/index.ts'`, 'routes/query.ts imports plugins/index.ts'],
    ['src/exchange.ts', `import type { Failure } from './failure.ts'`, 'src/exchange.ts imports src/failure.ts'],
    [
      'sandbox/crm/main.ts',
      `const x = await import('../../src/gateway.ts')`,
      'sandbox/crm/main.ts imports src/gateway.ts',
    ],
    ['src/hold/store.ts', `import { readFileSync } from 'node:fs'`, 'src/hold/store.ts imports the package node:fs'],
    ['src/audit/record.ts', `import { z } from 'left-pad'`, 'src/audit/record.ts imports the package left-pad'],
    ['src/assemble.ts', `import { serve } from './entry/node.ts'`, 'src/assemble.ts imports src/entry/node.ts'],
    ['src/stray.ts', '', 'src/stray.ts: in no row of the import table'],
  ])('refuses in %s: %s', (file, line, violation) => {
    expect(violations(new Map([[file, line]]))).toEqual([violation])
  })

  it('names a loop, type imports included', () => {
    const looped = new Map([
      ['src/hold/a.ts', `import type { B } from './b.ts'`],
      ['src/hold/b.ts', `import { a } from './a.ts'`],
    ])
    expect(violations(looped)).toEqual(['loop: src/hold/a.ts → src/hold/b.ts → src/hold/a.ts'])
  })

  it('sees every way to import, and none in a comment', () => {
    const text = `
import a from 'one'
import type { B,
  C } from "two"
export * from './three.ts'
import 'four'
const d = await import('five')
// import e from 'six'
/* import f from 'seven' */`
    expect(importsOf(text)).toEqual(['one', 'two', './three.ts', 'four', 'five'])
  })
})
