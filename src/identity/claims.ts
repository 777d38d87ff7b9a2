/** From verified claims to a principal. */
import type { Plane, Principal, Subject } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { ClaimPath, IssuerOptions } from './options.ts'

/** Longest subject or group, in UTF-16 code units. */
const MAX_NAME = 256
const MAX_GROUPS = 1_000

type Claims = Readonly<Record<string, unknown>>

/**
 * The principal that a verified token names on its plane. Throws `credential-refused` for anything that cannot be read
 * without guessing.
 */
export function principalOf(claims: Claims, plane: Plane, issuer: IssuerOptions): Principal {
  const mapping = issuer.claims ?? {}
  // RFC 7800: whoever shows it must also hold a key. We cannot ask for that proof, so a stolen one would do.
  if (claims['cnf'] !== undefined) {
    throw refused('the token is bound to a key (`cnf`), which cannot be checked here', {
      fix: `ask issuer \`${issuer.name}\` for a plain bearer token`,
    })
  }
  const subject = nameAt(claims, mapping.subject ?? 'sub', 'subject')
  if (subject === undefined) throw refused('the token names no subject')
  const actsFor = actingFor(claims, subject, issuer)
  if (plane === 'people' && actsFor !== undefined)
    throw refused('who acts for somebody else may not act as a person here')
  return {
    issuer: issuer.name,
    subject,
    kind: kindOf(claims, plane, mapping.kind),
    plane,
    groups: groupsAt(claims, mapping.groups ?? 'groups'),
    ...(actsFor === undefined ? {} : { actsFor }),
  }
}

/**
 * Checks that the token is for this plane and for no other. Throws `wrong-plane` for the other plane's token and
 * `credential-refused` for one of neither or of both.
 */
export function checkAudience(claims: Claims, plane: Plane, issuer: IssuerOptions): void {
  const audiences: readonly unknown[] = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']]
  if (!audiences.every((audience) => typeof audience === 'string')) {
    throw refused('the audience of the token is malformed')
  }
  const other: Plane = plane === 'agents' ? 'people' : 'agents'
  const wanted = issuer.audiences[plane]
  const own = audiences.some((audience) => audience === wanted)
  const others = audiences.some((audience) => audience === issuer.audiences[other])
  const fix =
    wanted === undefined ? {} : { fix: `ask issuer \`${issuer.name}\` for a token with audience \`${wanted}\`` }
  if (own && others) throw refused('the token is for both planes; a token is for one', fix)
  if (own) return
  if (others) throw new Failure('wrong-plane', `this is for ${plane} and the token is for ${other}`, fix)
  throw refused('the token is for another audience', fix)
}

function actingFor(claims: Claims, subject: string, issuer: IssuerOptions): Subject | undefined {
  const path = issuer.claims?.actsFor
  if (path === undefined) {
    // RFC 8693: somebody acts for somebody, and nobody told us which claim is who.
    if (claims['act'] !== undefined) {
      throw refused('the token says who acts for whom, and the gateway is not told how to read it', {
        fix: `set \`claims.actsFor\` and \`claims.subject\` of issuer \`${issuer.name}\``,
      })
    }
    return undefined
  }
  const person = nameAt(claims, path, 'acting-for')
  // RFC 8693 tokens that are not delegated: subject and person are one claim.
  return person === undefined || person === subject ? undefined : { issuer: issuer.name, subject: person }
}

function kindOf(claims: Claims, plane: Plane, path: ClaimPath | undefined): Principal['kind'] {
  const said = path === undefined ? undefined : claimAt(claims, path)
  if (plane === 'people') {
    if (said !== undefined && said !== 'person') throw refused('only a person may come in here')
    return 'person'
  }
  if (said === undefined) return 'agent'
  if (said === 'agent' || said === 'service' || said === 'person') return said
  throw refused('the kind in the token is not `agent`, `service` or `person`')
}

function groupsAt(claims: Claims, path: ClaimPath): readonly string[] {
  const groups = claimAt(claims, path)
  if (groups === undefined) return []
  if (!Array.isArray(groups) || !groups.every(isName)) throw refused('the groups in the token are not a list of names')
  if (groups.length > MAX_GROUPS) throw refused(`the token has over ${MAX_GROUPS} groups`)
  return groups
}

function nameAt(claims: Claims, path: ClaimPath, what: string): string | undefined {
  const name = claimAt(claims, path)
  if (name === undefined) return undefined
  if (!isName(name)) throw refused(`the ${what} claim of the token is not a name`)
  return name
}

/** A printable text of bounded length: names go into records, labels and headers. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME && !/\p{C}/u.test(value)
}

/** The claim of exactly this name, else the one at the path; of several paths, the first that is present. */
function claimAt(claims: Claims, path: ClaimPath): unknown {
  for (const each of typeof path === 'string' ? [path] : path) {
    const value = own(claims, each) ?? each.split('.').reduce(own, claims)
    if (value !== undefined && value !== null) return value
  }
  return undefined
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
    return undefined
  return (value as Claims)[name]
}

function refused(message: string, detail: { fix?: string } = {}): Failure {
  return new Failure('credential-refused', message, detail)
}
