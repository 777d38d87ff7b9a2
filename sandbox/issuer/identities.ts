/**
 * Who exists in the sandbox. The one list: the issuer, `npm run -s token`, the printed tour and tests read it.
 * Every secret here is public: it opens a sandbox on the loopback interface and nothing else.
 */

export const AUDIENCES = { agent: 'sluice-agents', service: 'sluice-agents', person: 'sluice-people' } as const

export type Kind = keyof typeof AUDIENCES

export interface SandboxIdentity {
  /** The `sub` of its tokens; for agents and services the OAuth client id too. */
  readonly name: string
  readonly kind: Kind
  readonly groups: readonly string[]
  /** The person for whom an agent acts: the claim `on_behalf_of: { sub }`. */
  readonly actsFor?: string
  readonly description: string
}

export const IDENTITIES: readonly SandboxIdentity[] = [
  {
    name: 'agent',
    kind: 'agent',
    groups: ['analyst-agents'],
    description: 'an AI agent that reads, with columns masked',
  },
  {
    name: 'writer',
    kind: 'agent',
    groups: ['writer-agents'],
    actsFor: 'wendy',
    description: 'an AI agent that writes once approved; it acts for wendy',
  },
  {
    name: 'writer-for-owner',
    kind: 'agent',
    groups: ['writer-agents'],
    actsFor: 'owner',
    description: 'the same, but it acts for owner, who may therefore not approve',
  },
  { name: 'reporter', kind: 'service', groups: ['services'], description: 'a service that no policy mentions yet' },
  { name: 'stranger', kind: 'agent', groups: [], description: 'an agent with a valid token and no policy' },
  { name: 'owner', kind: 'person', groups: ['data-owners'], description: 'a person who approves' },
  { name: 'owner2', kind: 'person', groups: ['data-owners'], description: 'another person who approves' },
  { name: 'auditor', kind: 'person', groups: ['auditors'], description: 'a person who reads the evidence' },
  { name: 'wendy', kind: 'person', groups: ['analysts'], description: 'the person for whom writer acts' },
  { name: 'nobody', kind: 'person', groups: [], description: 'a person in no group' },
]

/** The identity of that name, if there is one. */
export function identityNamed(name: string): SandboxIdentity | undefined {
  return IDENTITIES.find((identity) => identity.name === name)
}

/** The audience of its tokens. */
export function audienceOf(identity: SandboxIdentity): string {
  return AUDIENCES[identity.kind]
}

/** The OAuth client secret of an agent or service. Worthless outside loopback, and documented so. */
export function secretOf(identity: SandboxIdentity): string {
  return `${identity.name}-sandbox-secret`
}

/** The public OAuth client (PKCE, no secret) through which people log in. */
export const CONSOLE_CLIENT = 'sluice-console'

/** Where the console may be. OAuth for native apps: on loopback any port will do. */
export const REDIRECT_URIS = [
  'http://127.0.0.1:8080/console/callback',
  'http://localhost:8080/console/callback',
  'http://[::1]:8080/console/callback',
]

/** `name  kind  groups  description`, a line each. */
export function describeIdentities(): string {
  const wide = Math.max(...IDENTITIES.map((identity) => identity.name.length))
  return IDENTITIES.map(({ name, kind, description }) => {
    return `  ${name.padEnd(wide)}  ${kind.padEnd(7)}  ${description}`
  }).join('\n')
}
