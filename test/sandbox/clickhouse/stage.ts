/** One sandbox ClickHouse per test file, in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { startPart, type Part } from '../../../sandbox/parts.ts'

export interface Stage {
  readonly url: string
  readonly data: string
  part: Part
}

export function stage(): Stage {
  const data = mkdtempSync(join(tmpdir(), 'sluice-clickhouse-'))
  const it: { part?: Part } = {}
  const part = (): Part => {
    if (it.part === undefined) throw new Error('ClickHouse is not started')
    return it.part
  }
  beforeAll(async () => {
    it.part = await startPart('clickhouse', { port: 0, data })
  })
  afterAll(async () => {
    await it.part?.stop()
    rmSync(data, { recursive: true, force: true })
  })
  return {
    data,
    get url() {
      return part().url
    },
    get part() {
      return part()
    },
    set part(next) {
      it.part = next
    },
  }
}
