/** The OpenID provider: agents by client credentials, people by authorization code with PKCE, JWT access tokens. */
import { Provider, type ResourceServerInfo, type Token } from 'oidc-provider'
import {
  AUDIENCES,
  audienceOf,
  CONSOLE_CLIENT,
  IDENTITIES,
  identityNamed,
  REDIRECT_URIS,
  secretOf,
  type SandboxIdentity,
} from './identities.ts'
import type { KeptKeys } from './keys.ts'

/** Seconds that a token lives. */
export const TOKEN_SECONDS = 3600

// Resource indicators must be URIs; the audience in the token is the plain name.
const RESOURCE_PREFIX = 'urn:'

/** The provider for issuer URL `issuer`. */
export function createProvider(issuer: string, keys: KeptKeys): Provider {
  return new Provider(issuer, {
    jwks: keys.signing,
    cookies: { keys: [keys.cookie] },
    clients: [...IDENTITIES.filter(isClient).map(clientOf), consoleClient()],
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context: unknown, client: { clientId: string }) => resourceOf(client.clientId),
        useGrantedResource: () => true,
        getResourceServerInfo,
      },
    },
    pkce: { required: () => true },
    claims: { openid: ['sub', 'groups'] },
    findAccount: (_context: unknown, name: string) => {
      const person = identityNamed(name)
      if (person?.kind !== 'person') return undefined
      return { accountId: name, claims: () => ({ sub: name, groups: person.groups }) }
    },
    extraTokenClaims: (_context: unknown, token: Token) => claimsOf(identityNamed(token.accountId ?? token.clientId)),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/login/${interaction.uid}` },
    ttl: {
      AccessToken: TOKEN_SECONDS,
      ClientCredentials: TOKEN_SECONDS,
      IdToken: TOKEN_SECONDS,
      AuthorizationCode: 60,
      Interaction: TOKEN_SECONDS,
      Session: 24 * 3600,
      Grant: 24 * 3600,
    },
  })
}

/** A token for any identity, people too, without any proof: this is a sandbox. The provider's own format and key. */
export async function mintToken(provider: Provider, identity: SandboxIdentity): Promise<string> {
  const client = await provider.Client.find(isClient(identity) ? identity.name : CONSOLE_CLIENT)
  if (client === undefined) throw new Error(`the provider has no client for ${identity.name}`)
  const resourceServer = new provider.ResourceServer(resourceOf(client.clientId), serverInfo(audienceOf(identity)))
  const token = isClient(identity)
    ? new provider.ClientCredentials({ client, resourceServer })
    : new provider.AccessToken({ client, resourceServer, accountId: identity.name })
  return token.save()
}

function isClient(identity: SandboxIdentity): boolean {
  return identity.kind !== 'person'
}

function clientOf(identity: SandboxIdentity): object {
  return {
    client_id: identity.name,
    client_secret: secretOf(identity),
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  }
}

function consoleClient(): object {
  return {
    client_id: CONSOLE_CLIENT,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: REDIRECT_URIS,
    post_logout_redirect_uris: REDIRECT_URIS.map((uri) => uri.replace('/callback', '')),
  }
}

function claimsOf(identity: SandboxIdentity | undefined): object {
  if (identity === undefined) return {}
  const { kind, groups, actsFor } = identity
  return { kind, groups, ...(actsFor === undefined ? {} : { on_behalf_of: { sub: actsFor } }) }
}

function resourceOf(clientId: string): string {
  return RESOURCE_PREFIX + (clientId === CONSOLE_CLIENT ? AUDIENCES.person : AUDIENCES.agent)
}

/** A client gets tokens for its own plane and for no other. */
function getResourceServerInfo(_context: unknown, resource: string, client: { clientId: string }): ResourceServerInfo {
  if (resource !== resourceOf(client.clientId)) {
    throw Object.assign(new Error('invalid_target'), {
      status: 400,
      statusCode: 400,
      expose: true,
      error: 'invalid_target',
      error_description: 'the client may not have tokens for this resource',
    })
  }
  return serverInfo(resource.slice(RESOURCE_PREFIX.length))
}

function serverInfo(audience: string): ResourceServerInfo {
  // One algorithm per plane, so that both are in everyday use.
  const alg = audience === AUDIENCES.person ? 'ES256' : 'RS256'
  return { scope: '', audience, accessTokenTTL: TOKEN_SECONDS, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }
}
