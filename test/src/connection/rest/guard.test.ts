/** What an address is to us, however it is written. */
import type { LookupAddress } from 'node:dns'
import { describe, expect, test } from 'vitest'
import { ForbiddenAddress, guardedLookup, kindOf } from '../../../../src/connection/rest/guard.node.ts'

describe('an address', () => {
  test.each([
    ['93.184.215.14', 'public'],
    ['8.8.8.8', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.0', 'public'],
    ['2606:2800:21f:cb07:6820:80da:af6b:8b2c', 'public'],
    ['::ffff:8.8.8.8', 'public'],
    ['64:ff9b::808:808', 'public'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:FFFF:7F00:0001', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['fc00::1', 'private'],
    ['fd12:3456::1', 'private'],
    // metadata services of clouds
    ['169.254.169.254', 'never'],
    ['::ffff:169.254.169.254', 'never'],
    ['64:ff9b::a9fe:a9fe', 'never'],
    ['fd00:ec2::254', 'never'],
    ['fd20:ce::254', 'never'],
    ['100.100.100.200', 'never'],
    ['168.63.129.16', 'never'],
    ['192.0.0.192', 'never'],
    // nobody's
    ['0.0.0.0', 'never'],
    ['::', 'never'],
    ['::127.0.0.1', 'never'],
    ['fe80::1', 'never'],
    ['fe80::1%eth0', 'never'],
    ['fec0::1', 'never'],
    ['ff02::1', 'never'],
    ['224.0.0.1', 'never'],
    ['255.255.255.255', 'never'],
    ['240.0.0.1', 'never'],
    ['198.18.0.1', 'never'],
    ['203.0.113.1', 'never'],
    ['2002:7f00:1::', 'never'],
    ['2001:0:7f00:1::', 'never'],
    ['2001:db8::1', 'never'],
    ['64:ff9b:1::7f00:1', 'never'],
    ['100::1', 'never'],
    ['127.1', 'never'],
    ['2130706433', 'never'],
    ['0x7f.0.0.1', 'never'],
    ['localhost', 'never'],
    ['', 'never'],
  ])('%s is %s', (address, kind) => {
    expect(kindOf(address)).toBe(kind)
  })
})

describe('a lookup', () => {
  const lookedUp = async (hostname: string, addresses: readonly string[], allowPrivate = false, all = true) =>
    await new Promise((resolve) => {
      const answer = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }))
      const lookup = guardedLookup(allowPrivate, (_, done) => done(null, answer))
      lookup(hostname, { all }, (error, found, family) => resolve(error ?? (all ? found : [found, family])))
    })
  const forbidden = new ForbiddenAddress()

  test('answers what it checked, in the shape that was asked for', async () => {
    expect(await lookedUp('a.example', ['8.8.8.8', '2606:4700::1111'])).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700::1111', family: 6 },
    ])
    expect(await lookedUp('a.example', ['8.8.8.8', '1.1.1.1'], false, false)).toEqual(['8.8.8.8', 4])
  })

  test('one forbidden address among many forbids the name', async () => {
    expect(await lookedUp('a.example', ['8.8.8.8', '10.0.0.1'])).toEqual(forbidden)
    expect(await lookedUp('a.example', [])).toEqual(forbidden)
  })

  test('private addresses have to be said; metadata services never', async () => {
    expect(await lookedUp('a.example', ['10.0.0.1', '127.0.0.1'], true)).toHaveLength(2)
    expect(await lookedUp('a.example', ['169.254.169.254'], true)).toEqual(forbidden)
    expect(await lookedUp('a.example', ['fd00:ec2::254'], true)).toEqual(forbidden)
  })

  test('`localhost` is this machine and nothing else', async () => {
    expect(await lookedUp('localhost', ['127.0.0.1', '::1'])).toHaveLength(2)
    expect(await lookedUp('crm.localhost', ['127.0.0.1'])).toHaveLength(1)
    expect(await lookedUp('localhost', ['8.8.8.8'], true)).toEqual(forbidden)
    expect(await lookedUp('notlocalhost', ['127.0.0.1'])).toEqual(forbidden)
  })

  test('a name that does not resolve fails as it failed', async () => {
    const error = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    const lookup = guardedLookup(false, (_, done) => done(error, []))
    expect(await new Promise((resolve) => lookup('a.example', { all: true }, (failed) => resolve(failed)))).toBe(error)
  })
})
