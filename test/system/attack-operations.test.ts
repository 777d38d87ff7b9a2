/** Operators' worst days: each start that cannot be says in a line or two what to mend, and nothing is written over. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { configured, folder, tidy, until } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
let gateway: GatewayProcess | undefined

afterEach(async () => {
  await gateway?.stop('SIGKILL')
  gateway = undefined
  tidy()
})

/** What a start says that is expected to end by itself. */
function served(env: Record<string, string>, ...args: string[]): Promise<{ code: number | null; said: string }> {
  const { warehouse, clickhouse, issuer } = inject('sandbox')
  const child = spawn(process.execPath, [join(ROOT, 'src/entry/cli.ts'), 'serve', ...args], {
    cwd: ROOT,
    env: {
      ...process.env,
      SLUICE_PORT: '0',
      SLUICE_SANDBOX_WAREHOUSE: warehouse,
      SLUICE_SANDBOX_CLICKHOUSE: clickhouse,
      SLUICE_SANDBOX_ISSUER: issuer,
      SLUICE_CRM_KEY: 'crm-sandbox-key',
      SLUICE_MASK_KEY: 'a-mask-key-of-the-tests-0123456789',
      ...env,
    },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return new Promise((resolve) => child.once('exit', (code) => resolve({ code, said })))
}

describe('a start that cannot be', () => {
  it.each<[string, () => Record<string, string>, RegExp]>([
    [
      'an address that is not ours',
      () => ({ SLUICE_HOST: '192.0.2.1' }),
      /^cannot listen on 192\.0\.2\.1:0.*SLUICE_HOST/m,
    ],
    [
      'a file in the data folder’s place',
      () => ({ SLUICE_DATA: written('data', 'x') }),
      /^the data folder .* EEXIST\nset SLUICE_DATA/,
    ],
    [
      'a spoilt state store',
      () => ({ SLUICE_DATA: join(written('state.db', 'x'.repeat(8192)), '..') }),
      /^the state store `.*state\.db` cannot be opened\nsee that/,
    ],
    [
      'a name that is none',
      () => ({ SLUICE_DATA: join(written('writer', 'gateway-1'), '..') }),
      /writer holds no name of a gateway/,
    ],
  ])('for %s is told so without a stack', async (_, env, words) => {
    const { code, said } = await served({ SLUICE_DATA: folder(), ...env() })
    expect([code, said]).toEqual([1, expect.stringMatching(words)])
    expect(said).not.toContain('    at ')
  })

  it('for an option that is not known shows those that are', async () => {
    const { code, said } = await served({ SLUICE_DATA: folder() }, '--nope')
    expect([code, said]).toEqual([2, expect.stringMatching(/^Unknown option '--nope'[\s\S]*policy test/)])
    expect(said).not.toContain('    at ')
  })

  it('leaves the gateway alone that has the data folder or the port already', async () => {
    gateway = await startGateway({ data: folder() })
    const folderTaken = await served({ SLUICE_DATA: gateway.data })
    expect(folderTaken).toEqual({
      code: 1,
      said: expect.stringMatching(/in use by another process\ngive each gateway its own data folder/),
    })
    const portTaken = await served({ SLUICE_DATA: folder(), SLUICE_PORT: new URL(gateway.url).port })
    expect(portTaken).toEqual({ code: 1, said: expect.stringMatching(/^port \d+ is taken; set SLUICE_PORT/m) })
    expect((await gateway.query('agent', 'SELECT 1 AS n')).status).toBe(200)
  })
})

describe('a gateway that was killed while it named itself', () => {
  it('takes a new name and starts', async () => {
    const data = join(written('writer', ''), '..')
    gateway = await startGateway({ data })
    expect(readFileSync(join(data, 'writer'), 'utf8')).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('a storm of SIGHUP', () => {
  it('ends with the policies as they are, however many rounds read older ones', async () => {
    const config = configured()
    gateway = await startGateway({ config, data: folder() })
    const { process: child, logs } = gateway
    const policy = join(config, '../policies/shop-analysts.yaml')
    const text = readFileSync(policy, 'utf8')
    for (let n = 0; n < 40; n++) {
      writeFileSync(policy, n % 2 === 0 ? text.replace('[analyst-agents]', '[nobody]') : text)
      child.kill('SIGHUP')
    }
    writeFileSync(policy, text.replace('[analyst-agents]', '[nobody]'))
    const loaded = logs.length
    child.kill('SIGHUP')
    await until(() => logs.slice(loaded).some((line) => line.includes('policies loaded')))
    const denied = async (): Promise<boolean> => (await gateway!.query('agent', 'SELECT 1 AS n')).status === 403
    await until(denied)
    expect(await Promise.all(Array.from({ length: 10 }, denied))).not.toContain(false)
  })
})

/** A file of a new folder. */
function written(name: string, text: string): string {
  const path = join(folder(), name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}
