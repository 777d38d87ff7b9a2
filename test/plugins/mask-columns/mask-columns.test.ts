import { createHmac } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { pads } from '../../../src/statement/hmac.ts'
import { maskColumns, maskStatement } from '../../../plugins/mask-columns/index.ts'
import type { SqlStatement } from '../../../src/exchange.ts'
import type { Wrap } from '../../../src/statement/rewrite.ts'
import { customers, statedOf, statementOf, tableOf } from '../support.ts'

// What the contract of rewriting says, for texts without views: this plugin's part of it is tested here.
vi.mock('../../../src/statement/rewrite.ts', () => ({
  exportsOf: () => [],
  replaceReferences(statement: SqlStatement, wrap: Wrap): SqlStatement {
    let text = statement.text
    for (const at of statement.references.toReversed()) {
      const sql = wrap(
        statement.tables.find((table) => table.resource === at.resource)!,
        at,
      )
      if (sql !== undefined) text = `${text.slice(0, at.start)}(${sql}) AS ${at.alias}${text.slice(at.end)}`
    }
    return { ...statement, text }
  },
  withNamedParameters: (statement: SqlStatement): SqlStatement => ({
    ...statement,
    text: statement.text.replace('?', '@sluice_p1'),
    parameters: statement.parameters.map((parameter, at) => ({ name: `sluice_p${at + 1}`, ...parameter })),
  }),
}))

const orders = tableOf('shop.orders', { id: 'INT64', customer_email: 'STRING' })
const keys = new Map([['default', { inner: 'aW5uZXI=', outer: 'b3V0ZXI=' }]])
const mask = (statement: SqlStatement, ...columns: Readonly<Record<string, unknown>>[]) =>
  maskStatement(statement, { name: 'mask-columns', terms: columns.map((it) => ({ columns: it })) }, keys)

describe('mask-columns', () => {
  it('puts a masked query in the place of each masked table, and says so', () => {
    const text = 'SELECT c.email, o.id FROM shop.customers c JOIN shop.orders o ON TRUE'
    const statement = statementOf(text, [customers, orders], {
      output: [
        { name: 'email', type: { kind: 'STRING' }, sources: ['shop.customers.email', 'shop.customers.ssn'] },
        { name: 'id', type: { kind: 'INT64' }, sources: ['shop.orders.id'] },
      ],
    })
    const masked = mask(statement, { 'shop.customers.ssn': 'redact', 'shop.customers.email': 'null' })
    expect(masked).toEqual({
      ...statement,
      text:
        'SELECT c.email, o.id FROM (SELECT * REPLACE (CAST(NULL AS STRING) AS `email`, ' +
        "IF(sluice_t1.`ssn` IS NULL, NULL, '[redacted]') AS `ssn`) FROM `demo.shop.customers` AS sluice_t1) AS customers c " +
        'JOIN shop.orders o ON TRUE',
      masks: [
        { resource: 'shop.customers', column: 'email', strategy: 'null' },
        { resource: 'shop.customers', column: 'ssn', strategy: 'redact' },
      ],
      output: [{ ...statement.output[0], masked: 'null+redact' }, statement.output[1]],
    })
  })

  it('leaves a statement that reads no masked table as it is', () => {
    const statement = statementOf('SELECT id FROM shop.orders', [orders])
    expect(mask(statement, { 'shop.customers.email': 'hash' })).toBe(statement)
  })

  it('hands the key over as parameters, never as text; positional ones become named', () => {
    const statement = statementOf('SELECT email FROM shop.customers WHERE id = ?', [customers], {
      parameters: [{ type: { kind: 'INT64' }, value: '5' }],
    })
    const masked = mask(statement, { 'shop.customers.email': 'hash' }) as SqlStatement
    expect(masked.parameters).toEqual([
      { name: 'sluice_p1', type: { kind: 'INT64' }, value: '5' },
      { name: 'sluice_k1_ipad', type: { kind: 'BYTES' }, value: 'aW5uZXI=' },
      { name: 'sluice_k1_opad', type: { kind: 'BYTES' }, value: 'b3V0ZXI=' },
    ])
    expect(masked.text).not.toContain('aW5uZXI')
    expect(masked.text).toContain('@sluice_k1_ipad')
  })

  it('takes the strongest of several rules, whatever their order', () => {
    const statement = statementOf('SELECT * FROM shop.customers', [customers])
    const [weak, strong] = [{ 'shop.customers.email': 'partial' }, { 'shop.customers.EMAIL': 'redact' }]
    const masks = [{ resource: 'shop.customers', column: 'email', strategy: 'redact' }]
    expect(mask(statement, weak, strong)).toMatchObject({ masks })
    expect(mask(statement, strong, weak)).toEqual(mask(statement, weak, strong))
  })

  it('finds the table by its full name, in any letter case, and through wildcards', () => {
    const events = tableOf('shop.events_*', { user_id: 'INT64' })
    const masks = [{ resource: 'shop.events_*', column: 'user_id', strategy: 'null' }]
    for (const written of ['shop.events_20260101', 'shop.events_*', 'demo.shop.events_20260101', 'SHOP.Events_*']) {
      const masked = mask(statementOf('SELECT 1 FROM shop.events_*', [events]), { [`${written}.user_id`]: 'null' })
      expect(masked).toMatchObject({ masks })
    }
  })

  it('takes another project’s table of the same name for another table', () => {
    const foreign = tableOf('other.shop.customers', { email: 'STRING' })
    const statement = statementOf('SELECT * FROM other.shop.customers', [foreign])
    expect(mask(statement, { 'shop.customers.email': 'redact' })).toBe(statement)
  })
})

describe('what cannot be masked is not run', () => {
  const code = (result: ReturnType<typeof mask>) => ('unfulfilled' in result ? result.unfulfilled : undefined)
  const email = { 'shop.customers.email': 'redact' }
  const write = [{ action: 'write', resource: 'shop.leads' }] as const

  it('a column that the table no longer has', () => {
    const statement = statementOf('SELECT * FROM shop.customers', [customers])
    expect(code(mask(statement, { 'shop.customers.e_mail': 'redact' }))).toEqual({
      code: 'mask-unknown-column',
      because: 'policy masks `e_mail` of `shop.customers`, which has no such column: it may bear another name now',
      fix: 'ask the policy owner to name the column as the table has it',
      where: 'shop.customers.e_mail',
    })
  })

  it('a DML target whose masked column is read; one whose masked column is not, is left', () => {
    const text = 'UPDATE\nshop.customers SET name = "x" WHERE email = "y"'
    const references = [{ resource: 'shop.customers', start: 7, end: 21, fixed: 'dml-target' }]
    const uses = [{ action: 'write', resource: 'shop.customers' }] as const
    const more = { kind: 'UPDATE', references, uses }
    expect(
      code(mask(statementOf(text, [customers], { ...more, columnsRead: ['shop.customers.email'] }), email)),
    ).toEqual({
      code: 'mask-unprovable',
      because: '`shop.customers.email` is masked, and no mask can be put where `shop.customers` stands (dml-target)',
      fix: 'leave `shop.customers.email` out of this statement',
      where: '2:1',
    })
    const honest = statementOf(text, [customers], { ...more, columnsRead: ['shop.customers.id'] })
    expect(mask(honest, email)).toEqual(honest)
  })

  it.each([
    ['shop.customers.address', 'shop.customers.address.street'],
    ['shop.customers.address.street', 'shop.customers.address'],
    ['shop.customers.metadata', 'shop.customers.metadata.$.card'],
  ])('reading %s where %s is masked counts', (read, masked) => {
    const references = [{ resource: 'shop.customers', start: 0, end: 1, fixed: 'time-travel' }]
    const statement = statementOf('x', [customers], { references, columnsRead: [read] })
    expect(code(mask(statement, { [masked]: 'redact' }))?.code).toBe('mask-unprovable')
  })

  it('a masked value on its way into a table', () => {
    const text = 'INSERT INTO shop.leads SELECT email FROM shop.customers'
    const more = { kind: 'INSERT', uses: write, columnsRead: ['shop.customers.email'] }
    expect(code(mask(statementOf(text, [customers], more), email))).toEqual({
      code: 'masked-value-write',
      because: '`shop.customers.email` is masked, so this statement would write by masked values',
      fix: 'leave `shop.customers.email` out of this statement',
      where: 'shop.customers.email',
    })
    const honest = statementOf(text, [customers], { ...more, columnsRead: ['shop.customers.name'] })
    expect(code(mask(honest, email))).toBeUndefined()
  })

  it('a table that is read where no reference shows', () => {
    const statement = statementOf('SELECT 1 FROM mv', [customers])
    expect(code(mask(statement, email))?.code).toBe('mask-unprovable')
  })

  it('kinds of statement that copy, define or alter', () => {
    for (const kind of ['CREATE_VIEW', 'CREATE_SNAPSHOT_TABLE', 'ALTER_TABLE', 'SCRIPT', 'CREATE_TABLE']) {
      expect(code(mask(statementOf('x shop.customers', [customers], { kind }), email))?.code).toBe('mask-unprovable')
    }
  })

  it.each(['SELECT @sluice_k1_opad', 'SELECT @ Sluice_k1_opad', 'SELECT @`sluice_x`', 'SELECT @`\\x73luice_k1_opad`'])(
    'a text that reaches for the key: %s',
    (select) => {
      const statement = statementOf(`${select} FROM shop.customers`, [customers])
      expect(code(mask(statement, { 'shop.customers.email': 'hash' }))?.code).toBe('mask-parameter-reserved')
    },
  )

  it('a parameter with a name of ours', () => {
    const parameters = [{ name: 'SLUICE_k1_ipad', type: { kind: 'BYTES' }, value: '' }] as const
    const statement = statementOf('SELECT 1 FROM shop.customers', [customers], { parameters })
    expect(code(mask(statement, email))?.code).toBe('mask-parameter-reserved')
  })

  it('a key that is not configured', () => {
    const statement = statementOf('SELECT 1 FROM shop.customers', [customers])
    const partner = { 'shop.customers.email': { strategy: 'hash', key: 'partner' } }
    expect(code(mask(statement, partner))).toMatchObject({
      code: 'mask-key-unknown',
      fix: expect.stringContaining('partner'),
    })
  })
})

describe('keys', () => {
  const runtime = (secret: string) => ({ secrets: { read: () => Promise.resolve(secret) } }) as never
  const options = maskColumns.options.parse({ keys: { default: 'env:SLUICE_MASK_KEY' } })

  it('are references, and read once at the start', async () => {
    expect(maskColumns.options.parse(undefined)).toEqual({ keys: {} })
    expect(() => maskColumns.options.parse({ keys: { default: 'a real secret' } })).toThrow('a reference such as')
    const hooks = await maskColumns.create(options, runtime('0123456789abcdef'))
    const statement = statementOf('SELECT 1 FROM shop.customers', [customers])
    const obligation = { name: 'mask-columns', terms: [{ columns: { 'shop.customers.email': 'hash' } }] }
    const fulfilment = hooks.fulfil?.['mask-columns']
    expect(await fulfilment?.before?.(statement, obligation, statedOf(statement))).toMatchObject({
      masks: [{ resource: 'shop.customers', column: 'email', strategy: 'hash' }],
    })
  })

  it('that are too short stop the start, without being told', async () => {
    await expect(maskColumns.create(options, runtime('shortshortshort'))).rejects.toThrow(
      'mask key `default` (`env:SLUICE_MASK_KEY`) is shorter than 16 bytes',
    )
  })

  it.each([16, 64, 65, 200])('of %i bytes make the HMAC of the standard', async (length) => {
    const key = new Uint8Array(length).map((_, at) => (at * 7) % 256)
    const blocks = await pads(key)
    const sha = async (...parts: Uint8Array[]) =>
      new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.concat(parts)))
    const [inner, outer] = [Buffer.from(blocks.inner, 'base64'), Buffer.from(blocks.outer, 'base64')]
    const value = Buffer.from('ada@example.com')
    const made = await sha(outer, await sha(inner, value))
    expect(Buffer.from(made).toString('hex')).toBe(createHmac('sha256', key).update(value).digest('hex'))
  })
})
