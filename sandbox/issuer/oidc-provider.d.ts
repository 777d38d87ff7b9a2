/** What we use of oidc-provider 9, which ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface Client {
    readonly clientId: string
  }
  export interface ResourceServerInfo {
    readonly scope: string
    readonly audience: string
    readonly accessTokenTTL: number
    readonly accessTokenFormat: 'jwt' | 'opaque'
    readonly jwt: { readonly sign: { readonly alg: string } }
  }
  export interface Token {
    readonly clientId: string
    readonly accountId?: string
    save(): Promise<string>
  }
  export interface Grant {
    addOIDCScope(scope: string): void
    save(): Promise<string>
  }
  export interface Interaction {
    readonly uid: string
    readonly params: Readonly<Record<string, unknown>>
  }
  type ResourceServer = object

  export class Provider {
    constructor(issuer: string, configuration: object)
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    on(event: 'server_error', listener: (context: unknown, error: Error) => void): this
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>
    readonly Client: { find(id: string): Promise<Client | undefined> }
    readonly Grant: new (init: { accountId: string; clientId: string }) => Grant
    readonly ResourceServer: new (identifier: string, info: ResourceServerInfo) => ResourceServer
    readonly ClientCredentials: new (init: { client: Client; resourceServer: ResourceServer }) => Token
    readonly AccessToken: new (init: { client: Client; accountId: string; resourceServer: ResourceServer }) => Token
  }
}
