/** The login page: choose who you are. No password; it is a sandbox. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { readBody, send } from './http.ts'
import { CONSOLE_CLIENT, IDENTITIES, identityNamed } from './identities.ts'

/** Shows the page (GET) or logs the chosen person in and goes on (POST, `person=owner`). */
export async function login(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Rejects unless this browser began the login: the provider's cookie says so.
  const interaction = await provider.interactionDetails(request, response)
  if (request.method === 'GET') return sendPage(response, interaction.uid)
  if (request.method !== 'POST') return send(response, 405, { error: 'method_not_allowed' })
  const name = new URLSearchParams(await readBody(request)).get('person') ?? ''
  if (identityNamed(name)?.kind !== 'person') return send(response, 400, { error: 'unknown_person' })
  const grant = new provider.Grant({ accountId: name, clientId: CONSOLE_CLIENT })
  grant.addOIDCScope('openid')
  const result = { login: { accountId: name, remember: false }, consent: { grantId: await grant.save() } }
  await provider.interactionFinished(request, response, result)
}

function sendPage(response: ServerResponse, uid: string): void {
  const people = IDENTITIES.filter((identity) => identity.kind === 'person')
  const buttons = people.map(({ name, description }) => {
    return `<p><button name="person" value="${name}">${name}</button> ${description}</p>`
  })
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  })
  response.end(
    `<!doctype html><html lang="en"><title>Sandbox login</title><h1>Who are you?</h1>` +
      `<form method="post" action="/login/${encodeURIComponent(uid)}">${buttons.join('')}</form></html>`,
  )
}
