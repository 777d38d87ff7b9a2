/** Texts as APIs have them, all invented, with what is to be found in them in `⟦kind:value⟧`. */
import { KINDS, type Kind } from '../../../plugins/mask-patterns/find.ts'

const key = (...parts: readonly string[]): string => parts.join('')

const TEXTS: readonly string[] = [
  // Cards: with and without separators, several issuers, in prose.
  'paid with ⟦card:4111111111111111⟧ yesterday',
  'Card ⟦card:4111 1111 1111 1111⟧, expires 12/27',
  '⟦card:5555-5555-5555-4444⟧',
  'amex ⟦card:3782 822463 10005⟧ declined',
  'diners=⟦card:30569309025904⟧;jcb=⟦card:3530111333300000⟧',
  'pan:⟦card:6011000990139424⟧',
  'two: ⟦card:4242424242424242⟧ ⟦card:4000056655665556⟧',
  'mc2 ⟦card:2223003122003222⟧',
  'full-width ⟦card:４１１１１１１１１１１１１１１１⟧',
  'acct4⟦card:4012.8888.8888.1881⟧'.replace('acct4', 'acct '),
  'ref 12 ⟦card:4111 1111 1111 1111⟧ 99',
  // SSNs.
  'SSN ⟦ssn:078-05-1120⟧ on file',
  'his ssn is ⟦ssn:219099999⟧',
  'social security number: ⟦ssn:457 55 5462⟧',
  '⟦ssn:123-45-6789⟧',
  // E-mail.
  'write to ⟦email:ann.arbor+news@example.co.uk⟧.',
  "<⟦email:o'neil@mail.example.com⟧>",
  'mailto:⟦email:bob@example.org⟧?subject=hi',
  '⟦email:jürgen@müller.example⟧',
  'Ann Arbor,⟦email:a_b-c@xn--bcher-kva.example⟧,42',
  // IBANs.
  'IBAN ⟦iban:DE89 3704 0044 0532 0130 00⟧',
  '⟦iban:GB29NWBK60161331926819⟧',
  'to ⟦iban:fr14 2004 1010 0505 0001 3m02 606⟧ today',
  'from ⟦iban:NL91ABNA0417164300⟧, ⟦iban:CH9300762011623852957⟧',
  // Phones.
  'call ⟦phone:+1 (415) 555-2671⟧ or ⟦phone:+44 20 7946 0958⟧',
  'tel:⟦phone:+14155552671⟧',
  '⟦phone:(212) 555-0187⟧ ext. 4',
  '⟦phone:415-555-2671⟧',
  'Büro ⟦phone:030 901820 12⟧',
  'Paris ⟦phone:01 42 68 53 00⟧',
  'UK ⟦phone:020 7946 0958⟧',
  'dial ⟦phone:0049 30 901820⟧',
  // Tokens and keys.
  `Authorization: Bearer ⟦jwt:${key('eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiIxMjM0NTY3ODkwIn0', '.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U')}⟧`,
  `aws_access_key_id = ⟦key:${key('AKIA', 'IOSFODNN7EXAMPLE')}⟧`,
  `?key=⟦key:${key('AIza', 'SyA-invented-0123456789abcdefghijkl')}⟧&x=1`.slice(0),
  `token ⟦key:${key('ghp', '_', '0123456789abcdefghijABCDEFGHIJ012345')}⟧`,
  `slack ⟦key:${key('xoxb', '-', '123456789012-abcdefGHIJKL')}⟧`,
  `stripe: ⟦key:${key('sk', '_live_', '0123456789abcdefABCDEF01')}⟧`,
  `⟦key:-----BEGIN RSA ${key('PRIVATE', ' KEY')}-----\nMIIBinvented\n-----END RSA PRIVATE KEY-----⟧\n`,
  // What honest answers hold, and is none of these.
  'order 4111111111111112 shipped',
  'id 7b3c1f52-9f5e-4c8c-a7d5-4111b1f2c3d4',
  '2024-05-06T10:11:12.345678901Z',
  'created 1717171717171, updated 1717171717171717171',
  'version 10.4.1111.1111, build 20240506.1011',
  '192.168.100.200 and 2001:0db8:85a3:0000:0000:8a2e:0370:7334',
  'amount 0.4111111111111111 EUR',
  'sum 4111111111.11',
  'lat 52.520008, lon 13.404954',
  'sku 978-3-16-148410-0 (ISBN)',
  'EAN 5901234123457',
  'zip 12345-6789',
  'ticket 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567',
  'nine digits 123456789 without a word',
  'user@localhost, @handle, a@b, me@@example.com',
  'import {a} from "@scope/package@1.2.3"',
  'DE00 3704 0044 0532 0130 00 has bad check digits',
  'part no GB12 ABCD 3456',
  'range 10-20, 100-200, 1000-2000',
  'on 01-02-2024 10 at gate 0',
  'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  'eyJ is how tokens begin; eyJhbGciOiJIUzI1NiJ9 alone is none',
  'AKIASHORT and sk_live_short and ghp_short',
  '-----BEGIN CERTIFICATE-----\nMIIBinvented\n-----END CERTIFICATE-----',
  'https://example.com/a/12345678/b?c=3&d=4#e-5',
  'temperature -12.5 °C, 1,234,567.89 of 10^12',
  'lorem ipsum dolor sit amet, consectetur adipiscing elit',
  '00000000000000000000',
  'phone +12',
  '5 + 12345678 = 12345683',
]

export interface Sample {
  readonly text: string
  /** In the order of the text. */
  readonly found: readonly { readonly kind: Kind; readonly start: number; readonly end: number }[]
}

const MARK = /⟦(\w+):([^⟧]*)⟧/g

export const CORPUS: readonly Sample[] = TEXTS.map((marked) => {
  const found: Sample['found'][number][] = []
  let text = ''
  let at = 0
  for (const match of marked.matchAll(MARK)) {
    const [whole, word, value = ''] = match
    const kind = KINDS.find((it) => it === word)
    if (kind === undefined) throw new Error(`no kind ${word}`)
    text += marked.slice(at, match.index)
    found.push({ kind, start: text.length, end: text.length + value.length })
    text += value
    at = match.index + whole.length
  }
  return { text: text + marked.slice(at), found }
})
