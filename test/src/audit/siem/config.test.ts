/** What an operator writes of a SIEM, and what is said where it cannot be meant. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isProblems, parseConfig, renderProblem, type Config } from '../../../../src/config.ts'
import { openSiem } from '../../../../src/entry/siem.ts'
import { clock, tempDir } from '../stage.ts'

const LEAST = `issuers:
  - name: corp
    issuer: https://login.example.com
    algorithms: [ES256]
    audiences: { agents: sluice-agents }
connections:
  warehouse:
    type: bigquery
    project: my-project
    location: EU
    credentials: { type: adc }
`

function siemOf(destinations: string): Config['audit']['siem'] | readonly string[] {
  const parsed = parseConfig(`${LEAST}audit: { siem: [${destinations}] }\n`, 'sluice.yaml', () => undefined, {})
  return isProblems(parsed) ? parsed.problems.map(renderProblem) : parsed.audit.siem
}

describe('a SIEM in the configuration', () => {
  test('is as little as a name and where it is', () => {
    expect(
      siemOf(
        '{ name: soc, type: syslog, address: siem.example.com:6514 }, { name: lake, type: https, url: https://s.example/x }',
      ),
    ).toEqual([
      { name: 'soc', type: 'syslog', address: 'siem.example.com:6514', timeout: 10_000, tls: true },
      { name: 'lake', type: 'https', url: 'https://s.example/x', format: 'ndjson', timeout: 10_000 },
    ])
  })

  test('may do without TLS on loopback', () => {
    expect(siemOf('{ name: soc, type: syslog, address: localhost:514, tls: false }')).toMatchObject([{ tls: false }])
  })

  test.each([
    ['{ name: soc, type: syslog, address: siem.example.com:514, tls: false }', /audit\.siem\[0\]\.tls: .*`true`/],
    ['{ name: soc, type: syslog, address: localhost.example.com:514, tls: false }', /audit\.siem\[0\]\.tls/],
    ['{ name: soc, type: syslog, address: siem.example.com }', /audit\.siem\[0\]\.address/],
    ['{ name: soc, type: syslog, address: "siem.example.com:0" }', /audit\.siem\[0\]\.address/],
    ['{ name: soc, type: syslog, address: "siem.example.com:70000" }', /audit\.siem\[0\]\.address/],
    ['{ name: soc, type: syslog, address: "user@siem.example.com:6514" }', /audit\.siem\[0\]\.address/],
    ['{ name: ../soc, type: syslog, address: siem.example.com:6514 }', /audit\.siem\[0\]\.name/],
    ['{ name: "soc\\n", type: syslog, address: siem.example.com:6514 }', /audit\.siem\[0\]\.name/],
    ['{ name: soc, type: https, url: http://siem.example.com/ }', /audit\.siem\[0\]\.url/],
    ['{ name: soc, type: https, url: https://u:p@siem.example.com/ }', /audit\.siem\[0\]\.url/],
    [
      '{ name: soc, type: https, url: https://s.example/, authorization: Splunk abc }',
      /audit\.siem\[0\]\.authorization/,
    ],
    ['{ name: soc, type: https, url: https://s.example/, timeout: 5m }', /audit\.siem\[0\]\.timeout/],
    [
      '{ name: soc, type: syslog, address: "siem.example.com:6514", cert: own.pem }',
      /audit\.siem\[0\]\.key: .*`cert` and `key`/,
    ],
    [
      '{ name: soc, type: syslog, address: "siem.example.com:6514", cert: own.pem, key: own.key }',
      /audit\.siem\[0\]\.key/,
    ],
    ['{ name: soc, type: kafka }', /`https` or `syslog`/],
    [
      '{ name: soc, type: https, url: https://a.example/ }, { name: soc, type: https, url: https://b.example/ }',
      /audit\.siem: .*names that differ/,
    ],
  ])('is refused as %s', (destinations, words) => {
    const said = siemOf(destinations)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(words)
  })
})

describe('certificates that vouch for a receiver', () => {
  const runtime = { secrets: { read: async () => 'x' }, fetch: globalThis.fetch, clock }
  const opening = async (ca: string, base: string) =>
    openSiem({
      siem: [{ name: 'soc', type: 'syslog', address: 'siem.example.com:6514', timeout: 1000, tls: true, ca }],
      base,
      runtime,
      writer: 'gateway-1',
      version: '0.1.0',
    })

  test('are found beside the configuration', async () => {
    const base = await tempDir()
    await writeFile(join(base, 'ca.pem'), '-----BEGIN CERTIFICATE-----\n…')
    expect((await opening('ca.pem', base)).map(({ name }) => name)).toEqual(['siem-soc'])
  })

  test('that are not there, or are none, stop the start', async () => {
    const base = await tempDir()
    await expect(opening('ca.pem', base)).rejects.toThrow(`the certificates in ${base}/ca.pem cannot be read`)
    await writeFile(join(base, 'ca.pem'), 'something else')
    await expect(opening('ca.pem', base)).rejects.toThrow(`${base}/ca.pem holds no certificate in PEM`)
  })
})
