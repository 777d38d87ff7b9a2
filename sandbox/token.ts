/** `npm run -s token -- agent` prints a fresh token of the sandbox's issuer: just the token and a newline. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeIdentities, identityNamed } from './issuer/identities.ts'

/** Where `npm start` runs the issuer. */
const DEFAULT_ISSUER = 'http://127.0.0.1:9052'

const [name = ''] = process.argv.slice(2)
if (identityNamed(name) === undefined) {
  const problem = name === '' ? 'say whose token' : `no identity \`${name}\``
  console.error(`${problem}: npm run -s token -- <identity>\n\n${describeIdentities()}`)
  process.exitCode = 2
} else {
  const issuer = process.env['SLUICE_SANDBOX_ISSUER'] ?? startedIssuer() ?? DEFAULT_ISSUER
  try {
    console.log(await fetchToken(issuer, name))
  } catch (error) {
    console.error(`the issuer at ${issuer} does not answer; start the sandbox first: npm start`)
    if (process.env['DEBUG'] !== undefined) console.error(error)
    process.exitCode = 1
  }
}

/** Where `npm start` says that it runs the issuer: another port than usual, where that one was taken. */
function startedIssuer(): string | undefined {
  try {
    const path = join(process.env['SLUICE_DATA'] ?? '.sluice', 'sandbox', 'urls.json')
    return (JSON.parse(readFileSync(path, 'utf8')) as { issuer?: string }).issuer
  } catch {
    return undefined // nothing was started over this folder yet
  }
}

async function fetchToken(issuer: string, identity: string): Promise<string> {
  const response = await fetch(`${issuer}/dev/token/${identity}`, { signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`status ${response.status}`)
  const { access_token: token } = (await response.json()) as { access_token: string }
  return token
}
