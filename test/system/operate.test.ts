/** Operators: checking, cases, reloading policies, a configuration with mistakes. */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A copy of the project's configuration and policies that a test may break. */
function copy(): { config: string; policy: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-operate-'))
  folders.push(folder)
  cpSync(join(ROOT, 'sluice.yaml'), join(folder, 'sluice.yaml'))
  cpSync(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  return { config: join(folder, 'sluice.yaml'), policy: join(folder, 'policies/shop-analysts.yaml') }
}

function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, SLUICE_CRM_OPENAPI: join(ROOT, 'sandbox/crm/openapi.json') }
    execFile(process.execPath, [join(ROOT, 'src/entry/cli.ts'), ...args], { cwd: ROOT, env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`)
  writeFileSync(path, text.replace(from, to))
}

describe('sluice check', () => {
  it('finds the project in order without any secret', async () => {
    const { code, out } = await sluice('check')
    expect([code, out]).toEqual([0, expect.stringMatching(/are in order\npolicies sha256:[0-9a-f]{64}\n$/)])
  })

  it('names file, line, key and what was expected', async () => {
    const { config } = copy()
    edit(config, 'location: US', 'locaton: US')
    const { code, err } = await sluice('check', '--config', config)
    expect(code).toBe(1)
    expect(err).toMatch(/sluice\.yaml:\d+:\d+ connections\.warehouse/)
    expect(err).toContain('location')
  })

  it('refuses a secret that is written down', async () => {
    const { config } = copy()
    edit(config, '# password: env:SLUICE_CLICKHOUSE_PASSWORD', 'password: hunter2')
    const { code, err } = await sluice('check', '--config', config)
    expect([code, err.includes('audit.clickhouse.password'), err.includes('hunter2')]).toEqual([1, true, false])
  })

  it('says which commands there are', async () => {
    const { code, err } = await sluice('chekc')
    expect([code, err.includes('policy test')]).toEqual([2, true])
  })
})

describe('sluice policy test', () => {
  it('runs every case and reaches every rule', async () => {
    const { code, out } = await sluice('policy', 'test')
    expect([code, out]).toEqual([0, expect.stringMatching(/^\d+ passed, 0 failed, 0 rules unreached\n$/)])
  })

  it('fails on a loosened rule and names the case', async () => {
    const { config, policy } = copy()
    edit(policy, 'effect: deny', 'effect: permit')
    const { code, out } = await sluice('policy', 'test', '--config', config)
    expect([code, out]).toEqual([1, expect.stringContaining('expected')])
  })
})

describe('a change of the policies', () => {
  it('takes force at once, whole; a broken file keeps the old set and says so', async () => {
    const { config, policy } = copy()
    const gateway = await startGateway({ config })
    const logged = async (message: string, times: number): Promise<void> => {
      while (gateway.logs.filter((line) => line.includes(message)).length < times) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const statement = 'SELECT email FROM shop.leads LIMIT 1'
    expect((await gateway.query('agent', statement)).status).toBe(200)

    edit(policy, 'because:', 'becuase:')
    await logged('policies refused; the old ones stay', 1)
    expect((await gateway.query('agent', statement)).status).toBe(200)

    edit(policy, 'becuase:', 'because:')
    edit(policy, 'groups: [analyst-agents]', 'groups: [nobody-at-all]')
    await logged('policies loaded', 1)
    expect((await gateway.query('agent', statement)).body.reasons).toMatchObject([{ code: 'no-permit' }])

    edit(policy, 'groups: [nobody-at-all]', 'groups: [analyst-agents]')
    gateway.process.kill('SIGHUP')
    await logged('policies loaded', 2)
    expect((await gateway.query('agent', statement)).status).toBe(200)
    await gateway.stop()
  })
})

describe('an API key', () => {
  it('opens the gateway for its service until it is revoked, without a restart', async () => {
    const { config, policy } = copy()
    const made = await sluice('key', 'new')
    const key = made.out.trim()
    const entry = made.err.split('\n').find((line) => line.includes('hash:'))!
    const keys = join(policy, '../../keys.yaml')
    const write = (revoked: boolean): void =>
      writeFileSync(
        keys,
        entry
          .trim()
          .replace('NAME', 'reports')
          .replace('[GROUP]', '[analyst-agents]')
          .replace(' }', revoked ? ', revoked: true }' : ' }'),
      )
    write(false)
    edit(config, 'connections:\n', 'apiKeys: { file: keys.yaml }\n\nconnections:\n')
    const gateway = await startGateway({ config })
    const ask = async (bearer: string): Promise<[number, string]> => {
      const answer = await fetch(`${gateway.url}/v1/query`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ connection: 'warehouse', sql: 'SELECT email FROM shop.customers LIMIT 1' }),
      })
      const body = (await answer.json()) as any
      return [answer.status, body.code ?? body.columns[0].masked]
    }
    expect(await ask(key)).toEqual([200, 'hash'])
    expect(await ask(`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`)).toEqual([401, 'credential-refused'])

    write(true)
    while (!gateway.logs.some((line) => line.includes('policies loaded'))) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await ask(key)).toEqual([401, 'credential-refused'])
    expect(gateway.logs.join('\n')).not.toContain(key.split('_').slice(2).join('_'))
    await gateway.stop()
  })
})
