/** The door of evidence packs, over HTTP and from the command line: who may, what is recorded, and what ends it. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { OpenAPIHono } from '@hono/zod-openapi'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { AuditLog, AuditRecord, EvidenceExporter, EvidenceRequest } from '../../src/audit/contract.ts'
import { json, listed, packed, text, type Member } from '../../src/audit/evidence/pack.ts'
import { Door } from '../../src/door.ts'
import type { Principal } from '../../src/exchange.ts'
import { Exporter } from '../../src/exporter.ts'
import { Failure } from '../../src/failure.ts'
import { Inflight } from '../../src/inflight.ts'
import type { Runtime } from '../../src/runtime.ts'
import { mountEvidence } from '../../routes/evidence.ts'
import { nodeHasher } from '../support/hasher.ts'

const AUDITOR: Principal = { issuer: 'corp', subject: 'hedy', kind: 'person', plane: 'people', groups: ['auditors'] }
const NOW = Date.UTC(2026, 9, 2)

interface Stage {
  readonly app: OpenAPIHono
  readonly records: AuditRecord[]
  readonly requests: EvidenceRequest[]
  readonly inflight: Inflight
  get(query: string, signal?: AbortSignal): Promise<Response>
}

interface Broken {
  readonly principal?: Principal
  readonly append?: (record: AuditRecord) => void
  /** What a pack's body does before each of its members. */
  readonly before?: (path: string) => void | Promise<void>
  readonly evidence?: null
  /** Longest that an ordinary request may take. */
  readonly mostMs?: number
}

async function* members(before: Broken['before']): AsyncGenerator<Member> {
  const content = [text('README.txt', 'an evidence pack'), text('report.html', '<!doctype html>')]
  const files = await Promise.all(content.map(listed))
  const manifest = { format: 'sluice-evidence', version: 1, from: 'a', to: 'b', verifiable: true, counts: {}, files }
  for (const member of [...content, json('manifest.json', manifest)]) {
    await before?.(member.path)
    yield member
  }
}

function stage(broken: Broken = {}): Stage {
  const records: AuditRecord[] = []
  const requests: EvidenceRequest[] = []
  const audit: AuditLog = {
    async append(record) {
      broken.append?.(record)
      records.push(record)
    },
    status: () => ({ writable: true, tight: false, backlogRecords: 0, backlogBytes: 0 }),
    close: async () => {},
  }
  let ids = 0
  const runtime: Runtime = {
    clock: { now: () => NOW, monotonic: () => 0 },
    newId: () => `id-${++ids}`,
    hasher: nodeHasher,
    secrets: { read: async () => 'secret' },
    fetch: () => Promise.reject(new Error('no network here')),
    log: () => {},
    background: (_, work) => void work.catch(() => {}),
  }
  const inflight = new Inflight(10, broken.mostMs ?? 60_000)
  const identify = async (authorization: string | undefined): Promise<Principal> => {
    if (authorization === undefined) throw new Failure('credential-missing', 'a bearer token is needed')
    return broken.principal ?? AUDITOR
  }
  const door = new Door({ runtime, identity: { identify, ready: async () => {} }, audit, inflight })
  const evidence: EvidenceExporter = {
    async export(request, signal) {
      requests.push(request)
      const body = packed(members(broken.before), NOW, signal)
      return { contentType: 'application/x-tar', name: 'pack.tar', records: 12, body }
    },
  }
  const exporter = new Exporter({
    runtime,
    door,
    audit,
    groups: ['auditors'],
    scopes: [
      { groups: ['crm-auditors'], connections: ['crm'] },
      { groups: ['sales-auditors', 'crm-auditors'], connections: ['sales', 'crm'] },
    ],
    ...(broken.evidence !== null && { evidence }),
  })
  const app = new OpenAPIHono()
  mountEvidence(app, { runtime, exporter })
  const get = async (query: string, signal?: AbortSignal): Promise<Response> =>
    app.request(`http://gateway/v1/audit/export${query}`, {
      headers: { Authorization: 'Bearer token' },
      ...(signal && { signal }),
    })
  return { app, records, requests, inflight, get }
}

const problem = async (answer: Response) => {
  const { code, detail } = (await answer.json()) as { code: string; detail: string }
  return [answer.status, code, detail]
}

test('a pack is recorded before it begins, and again with what left before its last bytes do', async () => {
  const { get, records, requests, inflight } = stage()
  const answer = await get('?from=2026-09-01&to=2026-10-01T00:00:00Z&controls=CC6.1,CC7.2&format=parquet')
  expect([answer.status, Object.fromEntries(answer.headers)]).toEqual([
    200,
    {
      'cache-control': 'no-store',
      'content-disposition': 'attachment; filename="pack.tar"',
      'content-type': 'application/x-tar',
      'sluice-exchange': 'id-1',
      'sluice-export-records': '12',
      'x-content-type-options': 'nosniff',
    },
  ])
  const asked = {
    at: NOW,
    receivedAt: NOW,
    exchange: 'id-1',
    surface: 'audit',
    plane: 'people',
    principal: AUDITOR,
    statement: {
      language: 'audit',
      kind: 'EXPORT',
      text: 'export 2026-09-01T00:00:00.000Z to 2026-10-01T00:00:00.000Z, parquet, of all connections; controls CC6.1, CC7.2',
      uses: [],
      parameters: [],
    },
  }
  expect(records).toEqual([{ kind: 'audit-query', ...asked }])
  expect(requests).toEqual([
    {
      from: Date.UTC(2026, 8, 1),
      to: Date.UTC(2026, 9, 1),
      format: 'parquet',
      controls: ['CC6.1', 'CC7.2'],
      by: { issuer: 'corp', subject: 'hedy' },
      exchange: 'id-1',
    },
  ])
  const bytes = await answer.bytes()
  expect(records[1]).toEqual({
    kind: 'completed',
    ...asked,
    completion: {
      ran: asked.statement.text,
      rowCount: 12,
      byteCount: bytes.length,
      masked: [],
      statistics: { durationMs: 0 },
      ending: 'whole',
      timings: { totalMs: 0 },
    },
  })
  expect(inflight.count).toBe(0)
})

test('where the end cannot be recorded the last bytes stay', async () => {
  const { get } = stage({
    append: ({ kind }) => {
      if (kind === 'completed') throw new Failure('audit-unavailable', 'the journal is full')
    },
  })
  const answer = await get('?from=2026-09-01')
  await expect(answer.bytes()).rejects.toThrow('the journal is full')
})

test('where the beginning cannot be recorded nothing is asked of the store', async () => {
  const { get, requests } = stage({
    append: () => {
      throw new Failure('audit-unavailable', 'the journal is full')
    },
  })
  expect(await problem(await get('?from=2026-09-01'))).toEqual([503, 'audit-unavailable', 'the journal is full'])
  expect(requests).toEqual([])
})

test('an auditor of some connections gets those alone, of every scope that is theirs, and may narrow but not widen', async () => {
  const scoped = { principal: { ...AUDITOR, groups: ['crm-auditors'] } }
  const { get, requests } = stage(scoped)
  await (await get('?from=2026-09-01')).bytes()
  await (await get('?from=2026-09-01&connections=sales')).bytes()
  expect(requests.map(({ connections }) => connections)).toEqual([['crm', 'sales'], ['sales']])
  expect(await problem(await get('?from=2026-09-01&connections=crm,warehouse'))).toEqual([
    403,
    'not-auditor',
    'you may not audit the connection `warehouse`',
  ])
})

test.each<readonly [string, Principal]>([
  ['a person of no such group', { ...AUDITOR, groups: ['analysts'] }],
  ['an agent of the auditors', { ...AUDITOR, kind: 'agent' }],
  ['a service of a scope', { ...AUDITOR, kind: 'service', groups: ['crm-auditors'] }],
])('%s may not, and that is recorded', async (_, principal) => {
  const { get, records, requests, inflight } = stage({ principal })
  expect(await problem(await get('?from=2026-09-01'))).toEqual([
    403,
    'not-auditor',
    'only people in `auditors` may see the audit log',
  ])
  expect(records).toMatchObject([{ kind: 'refused', principal, failure: { code: 'not-auditor' } }])
  expect([requests, inflight.count]).toEqual([[], 0])
})

test.each([
  ['', '`from` is missing'],
  ['?from=yesterday', '`from` is not a moment'],
  ['?from=2026-02-31T25:00Z', '`from` is not a moment'],
  ['?from=2026-09-01&from=2026-09-02', '`from` is not known here, or given twice'],
  ['?from=2026-09-01&where=1', '`where` is not known here, or given twice'],
  ['?from=2026-09-01&format=xml', '`format` is `ndjson` or `parquet`'],
  ["?from=2026-09-01&connections=crm','x", '`connections` is words with commas between them'],
  ['?from=2026-09-01&controls=', '`controls` is words with commas between them'],
])('`%s` is refused', async (query, detail) => {
  const { get, requests } = stage()
  expect(await problem(await get(query))).toEqual([400, 'parameter-refused', detail])
  expect(requests).toEqual([])
})

test('without a store there is nothing to export', async () => {
  const { get } = stage({ evidence: null })
  expect((await problem(await get('?from=2026-09-01'))).slice(0, 2)).toEqual([502, 'upstream-failed'])
})

test('two at once, and a third is asked to come back', async () => {
  const { get, inflight } = stage()
  const open = [await get('?from=2026-09-01'), await get('?from=2026-09-01')]
  expect(await problem(await get('?from=2026-09-01'))).toEqual([503, 'overloaded', '2 packs are being made already'])
  await Promise.all(open.map((answer) => answer.bytes()))
  expect((await get('?from=2026-09-01')).status).toBe(200)
  expect(inflight.count).toBe(1)
})

test('whoever leaves ends it, and how much they had is recorded', async () => {
  const { get, records, inflight } = stage()
  const reader = (await get('?from=2026-09-01')).body?.getReader()
  await reader?.read()
  await reader?.cancel()
  expect(records[1]).toMatchObject({ kind: 'completed', completion: { ending: 'cut', cut: 'client-gone' } })
  expect(inflight.count).toBe(0)
})

test('whoever stops reading keeps no place once they are gone', async () => {
  const gone = new AbortController()
  const { get, records, inflight } = stage()
  await get('?from=2026-09-01', gone.signal)
  expect(inflight.count).toBe(1)
  gone.abort()
  await vi.waitFor(() => expect(inflight.count).toBe(0))
  expect(records[1]).toMatchObject({ kind: 'completed', completion: { ending: 'cut', cut: 'client-gone' } })
})

test('a pack takes longer than an ordinary request may', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const late = Promise.withResolvers<void>()
  const { get, inflight } = stage({
    mostMs: 1,
    before: async (path) => {
      if (path === 'report.html') await late.promise
    },
  })
  const answer = await get('?from=2026-09-01')
  const whole = answer.bytes()
  vi.advanceTimersByTime(10)
  late.resolve()
  expect((await whole).length).toBeGreaterThan(1000)
  expect(inflight.count).toBe(0)
})

test('what breaks while it is made breaks the answer off, and is recorded', async () => {
  const { get, records } = stage({
    before: (path) => {
      if (path === 'manifest.json') throw new Failure('upstream-failed', 'ClickHouse did not answer')
    },
  })
  await expect((await get('?from=2026-09-01')).bytes()).rejects.toThrow('ClickHouse did not answer')
  expect(records[1]).toMatchObject({ kind: 'completed', completion: { ending: 'cut', cut: 'upstream-failed' } })
})

const CLI = join(import.meta.dirname, '../../src/entry/commands/audit-export.ts')

/** `sluice audit export` against this app, in a process of its own. */
async function command(app: OpenAPIHono, args: readonly string[], token = 'token') {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const code = `import { auditExport } from ${JSON.stringify(CLI)}
    try { process.exitCode = await auditExport.run(process.argv.slice(1)) }
    catch (error) { console.error(error.message); process.exitCode = 1 }`
  const all = ['--input-type=module', '-e', code, '--', '--url', gateway, ...args]
  const child = spawn(process.execPath, all, { env: { ...process.env, SLUICE_TOKEN: token } })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()))
  const status = await new Promise((resolve) => child.once('close', resolve))
  return { status, ...said }
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-export-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

test('the command writes the file once it is whole and in order, and says how far it is', async () => {
  const out = join(folder(), 'pack.tar')
  const { app, requests } = stage()
  const { status, out: said, err } = await command(app, ['--from', '2026-09-01', '--control', 'CC6.1', '--out', out])
  expect([status, err]).toEqual([0, expect.stringContaining('12 records\n')])
  expect(said).toMatch(/pack\.tar: 2 files, \d+ KiB, a to b, in order by its manifest\nsha256 [0-9a-f]{64}\n/)
  expect(readFileSync(out).includes('manifest.json')).toBe(true)
  expect([existsSync(`${out}.part`), requests[0]?.controls]).toEqual([false, ['CC6.1']])
})

test('of a pack that breaks off nothing stays', async () => {
  const out = join(folder(), 'pack.tar')
  const { app } = stage({
    before: (path) => {
      if (path === 'manifest.json') throw new Failure('upstream-failed', 'ClickHouse did not answer')
    },
  })
  const { status, err } = await command(app, ['--from', '2026-09-01', '--out', out])
  expect([status, err]).toEqual([1, expect.stringContaining('the pack did not come whole')])
  expect([existsSync(out), existsSync(`${out}.part`)]).toEqual([false, false])
})

test('a file that is there is not written over, and a refusal is told in its words', async () => {
  const out = join(folder(), 'pack.tar')
  const { app } = stage({ principal: { ...AUDITOR, groups: [] } })
  expect(await command(app, ['--from', '2026-09-01', '--out', out])).toEqual({
    status: 1,
    out: '',
    err: 'the gateway answered 403\nonly people in `auditors` may see the audit log\n',
  })
  writeFileSync(out, 'mine')
  expect((await command(app, ['--from', '2026-09-01', '--out', out])).err).toContain('already')
  expect(readFileSync(out, 'utf8')).toBe('mine')
  expect((await command(app, ['--from', '2026-09-01', '--out', `${out}2`], '')).err).toContain('token is needed')
})
