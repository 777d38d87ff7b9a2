import { describe, expect, it } from 'vitest'
import { createCatalog } from '../../../src/catalog/index.ts'
import { createTagger } from '../../../src/catalog/tags.ts'
import type { Column, Table } from '../../../src/exchange.ts'

const ADDRESS: Column = {
  name: 'address',
  type: {
    kind: 'ARRAY',
    of: {
      kind: 'STRUCT',
      fields: [
        { name: 'Street', type: { kind: 'STRING' } },
        { name: 'geo', type: { kind: 'STRUCT', fields: [{ name: 'lat', type: { kind: 'FLOAT64' } }] } },
      ],
    },
  },
  nullable: false,
}
const column = (name: string, tags?: readonly string[]): Column => ({
  name,
  type: { kind: 'STRING' },
  nullable: true,
  ...(tags && { tags }),
})

function tableOf(resource: string, columns: readonly Column[]): Table {
  const [table = '', dataset = '', project = 'p'] = resource.split('.').toReversed()
  return { path: { project, dataset, table }, resource, kind: 'TABLE', columns, version: '1' }
}

/** `email: pii`, `address.Street: pii`: what bears tags. */
function tagsOf(table: Table): readonly string[] {
  return table.columns.flatMap(({ name, tags, fieldTags = {} }) => [
    ...(tags === undefined ? [] : [`${name}: ${tags.join(' ')}`]),
    ...Object.entries(fieldTags).map(([path, its]) => `${name}.${path}: ${its.join(' ')}`),
  ])
}

describe('a column tag of the configuration', () => {
  it.each([
    ['shop.customers.email', ['email: pii']],
    ['SHOP.Customers.EMAIL', ['email: pii']],
    ['shop.*.email', ['email: pii']],
    ['*.*.*mail*', ['email: pii', 'mail_2: pii']],
    ['shop.customers.address', ['address: pii']],
    ['shop.customers.address.street', ['address.Street: pii']],
    ['shop.customers.address.geo.*', ['address.geo.lat: pii']],
    ['shop.customers.*.*', ['address.Street: pii', 'address.geo: pii']],
    // A `*` stands for nothing beyond its part.
    ['shop.*', []],
    ['shop.customer.email', []],
    ['p.shop.customers.email', []],
    ['shop.customers.email.x', []],
  ])('%s marks %j', (pattern, marked) => {
    const tag = createTagger({ columnTags: { pii: [pattern] } })
    expect(tagsOf(tag(tableOf('shop.customers', [column('email'), column('mail_2'), ADDRESS])))).toEqual(marked)
  })

  it('holds for a table of another project, and for one of INFORMATION_SCHEMA, by their whole names', () => {
    const tag = createTagger({ columnTags: { a: ['other.shop.t.c'], b: ['shop.INFORMATION_SCHEMA.TABLES.c'] } })
    expect(tagsOf(tag(tableOf('other.shop.t', [column('c')])))).toEqual(['c: a'])
    expect(tagsOf(tag(tableOf('shop.INFORMATION_SCHEMA.TABLES', [column('c')])))).toEqual(['c: b'])
  })

  it('of one shard is one of every wildcard table that includes it', () => {
    const tag = createTagger({ columnTags: { pii: ['shop.events_2026*.name'] } })
    expect(tagsOf(tag(tableOf('shop.events_*', [column('name')])))).toEqual(['name: pii'])
    expect(tagsOf(tag(tableOf('shop.events_2025*', [column('name')])))).toEqual([])
  })
})

describe('a tag of the warehouse', () => {
  it('goes by its own name, and by the one that the configuration gives it', () => {
    const tag = createTagger({ tagNames: { 'policyTags/2': 'pii' }, columnTags: { gdpr: ['shop.t.email'] } })
    const fieldTags = { Street: ['policyTags/2'] }
    const table = tableOf('shop.t', [column('email', ['policyTags/2', 'policyTags/3']), { ...ADDRESS, fieldTags }])
    expect(tagsOf(tag(table))).toEqual([
      'email: gdpr pii policyTags/2 policyTags/3',
      'address.Street: pii policyTags/2',
    ])
  })
})

it('the catalog answers with tags, also from memory', async () => {
  const metadata = {
    table: () => Promise.resolve(tableOf('shop.t', [column('email')])),
    datasets: () => Promise.resolve([]),
    tables: () => Promise.resolve([]),
  }
  const catalog = createCatalog(metadata, {
    ttlMs: 1000,
    clock: { monotonic: () => 0 },
    columnTags: { pii: ['shop.t.email'] },
  })
  for (let i = 0; i < 2; i++) {
    const table = await catalog.table({ project: 'p', dataset: 'shop', table: 't' }, new AbortController().signal)
    expect(table && tagsOf(table)).toEqual(['email: pii'])
  }
})
