/** Signed heads on their way off the machine: files, lines, ClickHouse and a witness, over a change of keys and a kill. */
import { execFile } from 'node:child_process'
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { sha256 } from '../../src/audit/chain/keys.node.ts'
import { parseCheckpoint } from '../../src/audit/proof/entry.ts'
import { parseKey, parseNote, renderKey, signersOf } from '../../src/audit/proof/note.ts'
import { startGateway } from '../support/gateway.ts'
import { key, NAME, TestWitness } from '../support/witness.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The project's configuration in a folder of its own, with these checkpoints. */
function configured(checkpoints: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-heads-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  copyFileSync(join(ROOT, 'sluice.yaml'), join(folder, 'sluice.yaml'))
  const config = join(folder, 'sluice.yaml')
  const text = readFileSync(config, 'utf8')
  expect(text).toContain('\naudit:\n')
  writeFileSync(config, text.replace('\naudit:\n', `\naudit:\n${checkpoints}`))
  return folder
}

async function sluice(folder: string, env: Record<string, string>, ...args: readonly string[]) {
  return promisify(execFile)(process.execPath, [join(ROOT, 'src/entry/cli.ts'), ...args], {
    cwd: folder,
    env: {
      ...process.env,
      SLUICE_MASK_KEY: 'a-mask-key-of-the-tests-0123456789',
      SLUICE_CRM_KEY: 'crm-sandbox-key',
      SLUICE_CRM_OPENAPI: join(ROOT, 'sandbox/crm/openapi.json'),
      SLUICE_SANDBOX_CLICKHOUSE: inject('sandbox').clickhouse,
      ...env,
    },
  })
}

test('heads reach everyone, lead to all that was recorded, and outlive a key and a kill', async () => {
  const witness = await new TestWitness('sluice/', []).listen()
  onTestFinished(() => witness.close())
  const folder = configured(`  checkpoints:
    every: 1s
    key: file:new.key
    previousKeys: [file:old.key]
    files: heads
    stdout: true
    witnesses: [{ name: w1, url: '${witness.url}', key: '${renderKey(key)}' }]
`)
  const made = await Promise.all(['old', 'new'].map(async () => sluice(folder, {}, 'audit', 'key', 'new')))
  const [oldKey, newKey] = made.map(({ stderr }) => /\S+\+[0-9a-f]{8}\+\S+/.exec(stderr)?.[0] ?? '')
  for (const [i, name] of ['old.key', 'new.key'].entries()) writeFileSync(join(folder, name), made[i]!.stdout)
  const vkeys = (await sluice(folder, {}, 'audit', 'key', 'show')).stdout.trim().split('\n')
  expect(vkeys).toEqual([newKey, oldKey])
  const keys = vkeys.map((vkey) => parseKey(sha256, vkey))
  Object.assign(witness, { logKeys: keys.slice(1) })

  const config = join(folder, 'sluice.yaml')
  const first = await startGateway({ config })
  expect((await first.query('agent', 'SELECT 1 AS n')).status).toBe(200)
  await vi.waitFor(() => expect(witness.seen.size).toBeGreaterThan(0), { timeout: 20_000 })
  expect(first.logs.join('\n')).not.toContain(made[1]!.stdout.trim())
  await first.stop('SIGKILL')

  const { data, database } = first
  const again = await startGateway({ config, data, database })
  expect((await again.query('agent', 'SELECT 2 AS n')).status).toBe(200)
  const size = witness.seen.size
  await vi.waitFor(() => expect(witness.seen.size).toBeGreaterThan(size), { timeout: 20_000 })
  await again.audit('SELECT count() AS n FROM events', () => true)
  await again.stop()
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))

  const heads = join(folder, 'heads')
  const filed = readdirSync(heads)
    .toSorted()
    .flatMap((name) => readFileSync(join(heads, name), 'utf8').split('---\n').slice(0, -1))
  const lined = [...first.logs, ...again.logs].flatMap((line) => {
    const { checkpoint } = line.startsWith('{"checkpoint"')
      ? (JSON.parse(line) as { checkpoint: { note: string } })
      : {}
    return checkpoint === undefined ? [] : [checkpoint.note]
  })
  expect(lined).toEqual(filed)
  let before = 0
  for (const each of filed) {
    const note = parseNote(each)
    expect(await signersOf(note, keys)).toEqual(keys)
    const head = parseCheckpoint(note.text)
    if (head.size > 0) expect((await signersOf(note, [key])).map(({ name }) => name)).toEqual([NAME])
    expect(head.size).toBeGreaterThanOrEqual(before)
    before = head.size
  }
  expect(before).toBe(witness.seen.size)
  expect(new Set(witness.statuses)).toEqual(new Set([200, 409]))

  const env = { SLUICE_DATA: data, SLUICE_AUDIT_DATABASE: database }
  const files = readdirSync(heads).flatMap((name) => ['--checkpoints', join(heads, name)])
  const verified = await sluice(folder, env, 'audit', 'verify', '--key', oldKey!, ...files)
  expect(verified.stdout).toMatch(/\nverified\n$/)
}, 90_000)

test('a key that is none, or of which there is none yet, is said in words', async () => {
  const folder = configured(`  checkpoints: { key: 'env:SLUICE_TEST_KEY' }\n`)
  const wrong = sluice(folder, { SLUICE_TEST_KEY: 'hunter2-hunter2' }, 'audit', 'key', 'show')
  await expect(wrong).rejects.toMatchObject({
    stderr: 'the checkpoint key is none: make one with `sluice audit key new`\n',
  })
  const none = configured('')
  await expect(sluice(none, { SLUICE_DATA: 'nowhere' }, 'audit', 'key', 'show')).rejects.toMatchObject({
    stderr: expect.stringContaining('there is no key yet: start the gateway once'),
  })
  const witness = configured(`  checkpoints: { witnesses: [{ name: w1, url: 'https://w.example', key: 'nothing' }] }\n`)
  await expect(startGateway({ config: join(witness, 'sluice.yaml') })).rejects.toThrow(
    'the key of the witness `w1` is not a verifier key',
  )
})
