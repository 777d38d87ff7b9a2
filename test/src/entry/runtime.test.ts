import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Failure } from '../../../src/failure.ts'
import { createLog, createRuntime, createUuidV7 } from '../../../src/entry/runtime.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-runtime-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('ids', () => {
  const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  it('are UUIDs of version 7 that begin with the time', () => {
    const id = createUuidV7(() => 0x0123456789ab)()
    expect(id).toMatch(ID)
    expect(id.slice(0, 13)).toBe('01234567-89ab')
  })

  it('grow, each later than the one before, also within a millisecond and when the clock goes back', () => {
    let now = 1_000_000
    const newId = createUuidV7(() => now)
    const ids = Array.from({ length: 20_000 }, (_, i) => {
      if (i === 10_000) now -= 500
      return newId()
    })
    expect(ids).toEqual([...new Set(ids)].toSorted())
    expect(ids.every((id) => ID.test(id))).toBe(true)
  })
})

describe('secrets', () => {
  const { secrets } = createRuntime({ base: folder, level: 'error' })

  it('are read from the environment or from a file beside the configuration', async () => {
    process.env['SLUICE_TEST_SECRET'] = 'from the environment'
    writeFileSync(join(folder, 'key'), 'from a file\n')
    expect(await secrets.read('env:SLUICE_TEST_SECRET')).toBe('from the environment')
    expect(await secrets.read('file:key')).toBe('from a file')
    delete process.env['SLUICE_TEST_SECRET']
  })

  it.each([
    ['env:SLUICE_NOT_SET', 'the secret `env:SLUICE_NOT_SET` is not set'],
    ['file:nowhere', 'the secret `file:nowhere` cannot be read'],
    ['hunter2', 'a secret is `env:NAME` or `file:path`'],
  ])('%s is refused in words that hold no secret', async (reference, message) => {
    await expect(secrets.read(reference)).rejects.toMatchObject({ code: 'internal', message })
  })

  it('that are empty are refused', async () => {
    writeFileSync(join(folder, 'empty'), '')
    await expect(secrets.read('file:empty')).rejects.toMatchObject({ code: 'internal' })
  })
})

describe('the operational log', () => {
  const lines: string[] = []
  const log = createLog(
    'info',
    (line) => lines.push(line),
    () => new Date(0),
  )
  const last = (): unknown => JSON.parse(lines.at(-1) ?? '{}')

  it('is one JSON object a line', () => {
    log('info', 'listening', { url: 'http://127.0.0.1:1' })
    expect(lines.at(-1)).toBe(
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","message":"listening","url":"http://127.0.0.1:1"}\n',
    )
  })

  it('leaves out what is below its level', () => {
    const before = lines.length
    log('debug', 'chatter')
    expect(lines).toHaveLength(before)
  })

  it('says of a foreign error its name, code and place, never its message', () => {
    log('warn', 'it broke', {}, Object.assign(new TypeError('row 7 has ssn 123-45-6789'), { code: 'E_BAD' }))
    expect(last()).toMatchObject({ cause: { name: 'TypeError', code: 'E_BAD', at: expect.any(Array) } })
    expect(lines.at(-1)).not.toContain('123-45-6789')
  })

  it('says of our own its code and message, but not the words of the warehouse', () => {
    const cause = new Error('password=hunter2')
    log('warn', 'it failed', {}, new Failure('upstream-failed', 'the warehouse did not answer', { cause }))
    expect(last()).toMatchObject({ cause: { code: 'upstream-failed', message: 'the warehouse did not answer' } })
    log('warn', 'it failed', {}, new Failure('upstream-refused', 'Bad int64 value: 123-45-6789', { cause }))
    expect(last()).toMatchObject({ cause: { code: 'upstream-refused' } })
    expect(lines.join('')).not.toMatch(/hunter2|123-45-6789/)
  })
})
