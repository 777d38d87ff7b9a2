/** Starts one sandbox for the `system` tests and tells them where it is. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPart, type Part } from '../../sandbox/parts.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    sandbox: { warehouse: string; clickhouse: string; issuer: string; crm: string }
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-sandbox-'))
  const start = (name: Part['name']): Promise<Part> => startPart(name, { port: 0, data: join(data, name) })
  const [warehouse, clickhouse, issuer, crm] = await Promise.all([
    start('warehouse'),
    start('clickhouse'),
    start('issuer'),
    start('crm'),
  ])
  project.provide('sandbox', { warehouse: warehouse.url, clickhouse: clickhouse.url, issuer: issuer.url, crm: crm.url })
  return async () => {
    await Promise.all([warehouse, clickhouse, issuer, crm].map((part) => part.stop()))
    rmSync(data, { recursive: true, force: true })
  }
}
