/**
 * Which addresses a connection may reach. A configured name that resolves to an address of the machine, of the private
 * network or of a cloud's metadata service is somebody's trick, unless the configuration says that it is meant.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { BlockList, isIP, isIPv4, type LookupFunction } from 'node:net'

/** What an address is to us. */
export type AddressKind = 'public' | 'loopback' | 'private' | 'never'

function list(...subnets: readonly string[]): BlockList {
  const blocked = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/')
    blocked.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return blocked
}

const LOOPBACK = list('127.0.0.0/8', '::1/128')
/** Metadata services that lie within what else is private or public. */
const METADATA = list('100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32', 'fd00:ec2::/32', 'fd20:ce::254/128')
const PRIVATE = list('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7')
/** No host of anybody's: this network, link-local (metadata too), protocol use, documentation, multicast, the rest. */
const NEVER = list(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
)
/** Of IPv6 only this is the internet. */
const GLOBAL = list('2000::/3', '64:ff9b::/96')
const NOT_GLOBAL = list('2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20')

/** What an IP address is to us; `never` for anything that is no plain address. */
export function kindOf(address: string): AddressKind {
  const family = isIP(address)
  if (family === 0 || address.includes('%')) return 'never'
  if (family === 4) return kindOf4(address)
  const inner = embedded(address)
  if (inner !== undefined) return kindOf4(inner)
  if (LOOPBACK.check(address, 'ipv6')) return 'loopback'
  if (METADATA.check(address, 'ipv6')) return 'never'
  if (PRIVATE.check(address, 'ipv6')) return 'private'
  return GLOBAL.check(address, 'ipv6') && !NOT_GLOBAL.check(address, 'ipv6') ? 'public' : 'never'
}

function kindOf4(address: string): AddressKind {
  if (METADATA.check(address, 'ipv4') || NEVER.check(address, 'ipv4')) return 'never'
  if (LOOPBACK.check(address, 'ipv4')) return 'loopback'
  return PRIVATE.check(address, 'ipv4') ? 'private' : 'public'
}

/** The IPv4 address in an IPv4-mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`) one. */
function embedded(address: string): string | undefined {
  // The URL parser writes every address in one way, with its last 32 bits as two groups.
  const plain = URL.parse(`http://[${address}]`)?.hostname.slice(1, -1) ?? ''
  const match = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(plain)
  if (match === null) return undefined
  const [high, low] = [Number.parseInt(match[1] ?? '0', 16), Number.parseInt(match[2] ?? '0', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** A name resolved to an address that it may not resolve to. */
export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress'
  readonly code = 'SLUICE_FORBIDDEN_ADDRESS'

  constructor() {
    super('the host resolves to an address that is not allowed')
  }
}

/** Resolves a name to every address that it has. */
export type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void

const resolveBySystem: Resolve = (hostname, done) => {
  systemLookup(hostname, { all: true }, (error, addresses) => done(error, addresses))
}

/**
 * The `lookup` of a socket that connects to nothing else than what was checked: the address that is answered is the one
 * that is connected to. One forbidden address among many forbids the name. A literal address needs no lookup: whoever
 * configured it meant it.
 */
export function guardedLookup(allowPrivate: boolean, resolve: Resolve = resolveBySystem): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, (error, addresses) => {
      if (error !== null) return done(error, '', 0)
      const first = addresses[0]
      const local = hostname === 'localhost' || hostname.endsWith('.localhost')
      if (first === undefined || !addresses.every(({ address }) => isAllowed(kindOf(address), local, allowPrivate))) {
        return done(new ForbiddenAddress(), '', 0)
      }
      if (options.all === true) return done(null, [...addresses])
      done(null, first.address, first.family)
    })
  }
}

function isAllowed(kind: AddressKind, local: boolean, allowPrivate: boolean): boolean {
  if (local) return kind === 'loopback'
  if (kind === 'public') return true
  return allowPrivate && (kind === 'private' || kind === 'loopback')
}
