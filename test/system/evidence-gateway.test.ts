/** From a question to a verified pack: the real gateway, its store, the command line. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { packTar, unpackTar } from 'modern-tar'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const CLI = join(import.meta.dirname, '../../src/entry/cli.ts')

let gateway: GatewayProcess
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-evidence-'))
  gateway = await startGateway()
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** `sluice …`; what it said, and how it ended. */
async function sluice(args: readonly string[], token = ''): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, SLUICE_TOKEN: token, SLUICE_DATA: gateway.data }
  const done = promisify(execFile)(process.execPath, [CLI, ...args], { env })
  return done.then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      out: error.stdout,
      err: error.stderr,
    }),
  )
}

test('what was asked, held, approved and denied is in a pack that verifies with the public key alone', async () => {
  const read = await gateway.query('agent', 'SELECT id, email FROM shop.customers LIMIT 2')
  const held = await gateway.query('writer', `UPDATE shop.orders SET status = 'shipped' WHERE id = 9`)
  const path = `/v1/holds/${held.body.hold.id}`
  expect((await gateway.post(`${path}/approve`, 'owner', { comment: 'ticket OPS-7' })).status).toBe(200)
  await (await gateway.post(`${path}/run`, 'writer', {})).text()
  await gateway.audit<{ n: string }>(
    `SELECT count() AS n FROM events WHERE kind = 'completed' AND exchange_id IN ('${read.body.exchange}', '${held.body.hold.id}')`,
    ([row]) => row?.n === '2',
  )
  // A head that covers them.
  await gateway.audit<{ ok: string }>(
    `SELECT max(size) >= (SELECT max(segment) FROM events WHERE exchange_id = '${held.body.hold.id}') AS ok FROM checkpoints`,
    ([row]) => Number(row?.ok) === 1,
  )

  const out = join(folder, 'pack.tar')
  const asked = ['audit', 'export', '--url', gateway.url, '--from', '1d', '--control', 'CC6.1,CC8.1', '--out', out]
  expect(await sluice(asked, await tokenOf('auditor'))).toMatchObject({
    code: 0,
    out: expect.stringContaining('in order by its manifest'),
  })

  const key = (await sluice(['audit', 'key', 'show'])).out.trim()
  expect(await sluice(['audit', 'verify', out, '--key', key])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/\nverified\s*$/),
  })
  // What people read in it is bound to the key as well: the manifest that lists it is signed.
  const forged = join(folder, 'forged.tar')
  const members = await unpackTar(readFileSync(out))
  const report = members.find(({ header }) => header.name === 'report.html')
  const page = Buffer.from(
    Buffer.from(report?.data ?? '')
      .toString()
      .replaceAll('ticket OPS-7', 'nobody asked'),
  )
  const told = (manifest: Uint8Array): string => {
    const said = JSON.parse(Buffer.from(manifest).toString())
    const line = said.files.find(({ path }: { path: string }) => path === 'report.html')
    Object.assign(line, { bytes: page.length, sha256: createHash('sha256').update(page).digest('hex') })
    return `${JSON.stringify(said, null, 2)}\n`
  }
  const changed = members.map(({ header, data = new Uint8Array() }) => {
    const body = header.name === 'report.html' ? page : header.name === 'manifest.json' ? Buffer.from(told(data)) : data
    return { header: { ...header, size: body.length }, body: new Uint8Array(body) }
  })
  writeFileSync(forged, await packTar(changed))
  expect(await sluice(['audit', 'verify', forged, '--key', key])).toMatchObject({
    code: 1,
    out: expect.stringContaining('pack-changed: the manifest is not the one that was signed'),
  })

  const files = new Map((await unpackTar(readFileSync(out))).map(({ header, data }) => [header.name, data ?? '']))
  const text = (name: string): string => Buffer.from(files.get(name) ?? '').toString()
  const approvals = text('approvals.ndjson')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(approvals).toContainEqual(
    expect.objectContaining({
      state: 'approved',
      comment: 'ticket OPS-7',
      statement: expect.stringMatching(/^UPDATE/),
    }),
  )
  expect(text('masked-columns.ndjson')).toContain('"column":"email"')
  const [policy] = [...files.keys()].filter((name) => /^policies\/[0-9a-f]{64}\/policies\/.+\.yaml$/.test(name))
  expect(text(policy ?? '')).toMatch(/^policy: |\npolicy: /)
  expect(text('access.json')).toContain('"auditors"')
  const records = [...files]
    .filter(([name]) => name.startsWith('readable/'))
    .map(([, data]) => gunzipSync(data).toString())
  expect(records.join('')).toContain(read.body.exchange)
  expect(text('report.html')).toContain('ticket OPS-7')

  // The export is in the record itself.
  const [row] = await gateway.audit<{ kinds: string[]; bytes: string }>(
    `SELECT arraySort(groupArray(kind)) AS kinds, max(byte_count) AS bytes FROM events
     WHERE surface = 'audit' AND statement_kind = 'EXPORT'`,
    ([it]) => it?.kinds.length === 2,
  )
  expect([row?.kinds, Number(row?.bytes)]).toEqual([['audit-query', 'completed'], readFileSync(out).length])
})

test('nobody but an auditor gets one', async () => {
  const out = join(folder, 'none.tar')
  const asked = ['audit', 'export', '--url', gateway.url, '--from', '1d', '--out', out]
  expect(await sluice(asked, await tokenOf('owner'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('may see the audit log'),
  })
  expect((await gateway.get('/v1/audit/export?from=2026-01-01', 'agent')).status).toBe(403)
  expect((await gateway.get('/v1/audit/export?from=2026-01-01', '')).status).toBe(401)
})
