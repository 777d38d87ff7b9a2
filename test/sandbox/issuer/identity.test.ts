/** The gateway's identity over the sandbox's issuer, as the development configuration has it: who is who. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { IDENTITIES } from '../../../sandbox/issuer/identities.ts'
import { startPart, type Part } from '../../../sandbox/parts.ts'
import type { Plane, Principal } from '../../../src/exchange.ts'
import { createIdentity } from '../../../src/identity/identity.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { nodeHasher } from '../../support/hasher.ts'

let issuer: Part
let data: string
let identify: (token: string, plane: Plane) => Promise<Principal>

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sluice-identity-'))
  issuer = await startPart('issuer', { port: 0, data })
  const runtime: Runtime = {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    newId: () => crypto.randomUUID(),
    hasher: nodeHasher,
    secrets: { read: () => Promise.reject(new Error('no secret')) },
    fetch,
    log: () => {},
    background: () => {},
  }
  const identity = createIdentity(
    {
      issuers: [
        {
          name: 'sandbox',
          issuer: issuer.url,
          algorithms: ['RS256', 'ES256'],
          audiences: { agents: 'sluice-agents', people: 'sluice-people' },
          claims: { actsFor: 'on_behalf_of.sub', kind: 'kind' },
        },
      ],
    },
    runtime,
  )
  const signal = AbortSignal.timeout(30_000)
  await identity.ready(signal)
  identify = (token, plane) => identity.identify(`Bearer ${token}`, plane, signal)
})
afterAll(async () => {
  await issuer.stop()
  rmSync(data, { recursive: true })
})

test.each(IDENTITIES)('$name is who it is on its own plane, and nobody on the other', async (who) => {
  const response = await fetch(`${issuer.url}/dev/token/${who.name}`)
  const { access_token: token } = (await response.json()) as { access_token: string }
  const [own, other] = who.kind === 'person' ? (['people', 'agents'] as const) : (['agents', 'people'] as const)
  expect(await identify(token, own)).toEqual({
    issuer: 'sandbox',
    subject: who.name,
    kind: who.kind,
    plane: own,
    groups: who.groups,
    ...(who.actsFor === undefined ? {} : { actsFor: { issuer: 'sandbox', subject: who.actsFor } }),
  })
  await expect(identify(token, other)).rejects.toMatchObject({ code: 'wrong-plane' })
})
