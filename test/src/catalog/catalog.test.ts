import { describe, expect, it } from 'vitest'
import { createCatalog, type Catalog, type Metadata } from '../../../src/catalog/index.ts'
import type { Table, TablePath } from '../../../src/exchange.ts'

const path = (table: string): TablePath => ({ project: 'p', dataset: 'd', table })
const tableOf = (at: TablePath, version: string): Table => ({
  path: at,
  resource: `${at.dataset}.${at.table}`,
  kind: 'TABLE',
  columns: [],
  version,
})
const forever = (): AbortSignal => new AbortController().signal

/** A warehouse that counts what it is asked; tables named `no…` are not there. */
function warehouse(over: Partial<Metadata> = {}): { asked: string[]; metadata: Metadata } {
  const asked: string[] = []
  return {
    asked,
    metadata: {
      async table(at) {
        asked.push(at.table)
        return at.table.startsWith('no') ? undefined : tableOf(at, String(asked.length))
      },
      async datasets() {
        asked.push('datasets')
        return ['b', 'a']
      },
      async tables(dataset) {
        asked.push(`tables of ${dataset}`)
        return ['y', 'x'].map((table) => ({ project: 'p', dataset, table }))
      },
      ...over,
    },
  }
}

function catalogOf(metadata: Metadata, maxEntries = 100): { catalog: Catalog; pass: (ms: number) => void } {
  let now = 0
  const clock = { monotonic: () => now }
  return {
    catalog: createCatalog(metadata, { ttlMs: 1000, absentMs: 10, maxEntries, clock }),
    pass(ms) {
      now += ms
    },
  }
}

describe('a catalog', () => {
  it('asks once for what it remembers, and again when the time is over', async () => {
    const { asked, metadata } = warehouse()
    const { catalog, pass } = catalogOf(metadata)
    expect(await catalog.table(path('t'), forever())).toEqual(tableOf(path('t'), '1'))
    pass(999)
    expect(await catalog.table(path('t'), forever())).toEqual(tableOf(path('t'), '1'))
    pass(1)
    expect(await catalog.table(path('t'), forever())).toEqual(tableOf(path('t'), '2'))
    expect(asked).toEqual(['t', 't'])
  })

  it('believes only briefly that a table is not there', async () => {
    const { asked, metadata } = warehouse()
    const { catalog, pass } = catalogOf(metadata)
    for (const ms of [0, 9, 1]) {
      pass(ms)
      expect(await catalog.table(path('none'), forever())).toBeUndefined()
    }
    expect(asked).toEqual(['none', 'none'])
  })

  it('asks once however many wait, and one that leaves does not spoil it for the others', async () => {
    let answer: (table: Table | undefined) => void = () => {}
    let asked = 0
    const { metadata } = warehouse({
      table: () => {
        asked++
        return new Promise((resolve) => {
          answer = resolve
        })
      },
    })
    const { catalog } = catalogOf(metadata)
    const leave = new AbortController()
    const [left, stayed] = [catalog.table(path('t'), leave.signal), catalog.table(path('t'), forever())]
    leave.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    answer(tableOf(path('t'), 'v'))
    expect(await stayed).toEqual(tableOf(path('t'), 'v'))
    expect(asked).toBe(1)
  })

  it('remembers no error and serves nothing stale in its place', async () => {
    let broken = false
    const { metadata } = warehouse({
      async table(at) {
        if (broken) throw new Error('down')
        return tableOf(at, 'v')
      },
    })
    const { catalog, pass } = catalogOf(metadata)
    await catalog.table(path('t'), forever())
    pass(1000)
    broken = true
    await expect(catalog.table(path('t'), forever())).rejects.toThrow('down')
    broken = false
    expect(await catalog.table(path('t'), forever())).toEqual(tableOf(path('t'), 'v'))
  })

  it('remembers a bounded number of tables, and forgets the least used', async () => {
    const { asked, metadata } = warehouse()
    const { catalog } = catalogOf(metadata, 2)
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await catalog.table(path(name), forever())
    expect(asked).toEqual(['a', 'b', 'c', 'b'])
  })

  it('does not remember an answer that was under way when it was told to forget', async () => {
    const answers: ((table: Table) => void)[] = []
    const { metadata } = warehouse({ table: () => new Promise((resolve) => answers.push(resolve)) })
    const { catalog } = catalogOf(metadata)
    const before = catalog.table(path('t'), forever())
    catalog.invalidate(path('t'))
    const after = catalog.table(path('t'), forever())
    answers[0]?.(tableOf(path('t'), 'old'))
    answers[1]?.(tableOf(path('t'), 'new'))
    expect((await before)?.version).toBe('old')
    expect((await after)?.version).toBe('new')
    expect((await catalog.table(path('t'), forever()))?.version).toBe('new')
  })

  it('lists every table of every dataset in order, and remembers the list', async () => {
    const { asked, metadata } = warehouse()
    const { catalog } = catalogOf(metadata)
    const listed = (await catalog.list(forever())).map(({ dataset, table }) => `${dataset}.${table}`)
    expect(listed).toEqual(['a.x', 'a.y', 'b.x', 'b.y'])
    await catalog.list(forever())
    expect(asked).toEqual(['datasets', 'tables of a', 'tables of b'])
  })
})
