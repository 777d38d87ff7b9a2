/**
 * Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature. Ed25519, as checkpoints are signed,
 * and `cosignature/v1`, as witnesses sign. Pure but for WebCrypto.
 */
import { base64, concatenated, fromBase64 } from '../../bytes.ts'
import type { Sha256 } from './merkle.ts'

/** What is wrong with a note or a key, in words. */
export class MalformedNote extends Error {
  override readonly name = 'MalformedNote'
}

/** Kinds of key. */
export const ED25519 = 0x01
export const COSIGNATURE = 0x04

/** A key that checks signatures: `<name>+<hash>+<base64 of kind and key>`. */
export interface VerifierKey {
  readonly name: string
  /** 4 bytes: which of several keys of one name. */
  readonly hash: Uint8Array
  readonly kind: number
  /** 32 bytes. */
  readonly key: Uint8Array
}

export interface NoteSignature {
  readonly name: string
  readonly hash: Uint8Array
  readonly signature: Uint8Array
}

export interface Note {
  /** Ends with a line break. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Signs under a name. */
export interface Signer {
  readonly verifier: VerifierKey
  /** An Ed25519 signature, 64 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

const NAME = /^[^\s+]{1,255}$/u
const UTF8 = new TextEncoder()

/** Longest note, in characters, and most signatures on it. */
const MOST_TEXT = 1_000_000
const MOST_SIGNATURES = 100

export function keyHash(sha256: Sha256, name: string, kind: number, key: Uint8Array): Uint8Array {
  return sha256(UTF8.encode(`${name}\n`), Uint8Array.of(kind), key).slice(0, 4)
}

export function renderKey({ name, hash, kind, key }: VerifierKey): string {
  const digits = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${name}+${digits}+${base64(concatenated([Uint8Array.of(kind), key]))}`
}

/** Throws `MalformedNote` where the text is no key that we know. */
export function parseKey(sha256: Sha256, text: string): VerifierKey {
  const [, name = '', digits = '', encoded = ''] = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim()) ?? []
  const bytes = bytesOf(encoded)
  const [kind = 0] = bytes
  const key = bytes.slice(1)
  if (!NAME.test(name) || (kind !== ED25519 && kind !== COSIGNATURE) || key.length !== 32) {
    throw new MalformedNote('not a verifier key: `name+hash+key` of an Ed25519 key')
  }
  const hash = keyHash(sha256, name, kind, key)
  if (digits !== Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')) {
    throw new MalformedNote('a verifier key whose hash is not its own')
  }
  return { name, hash, kind, key }
}

/** The note as it is sent: `text` MUST end with a line break. */
export function renderNote({ text, signatures }: Note): string {
  const lines = signatures.map(({ name, hash, signature }) => `— ${name} ${base64(concatenated([hash, signature]))}\n`)
  return `${text}\n${lines.join('')}`
}

/** Throws `MalformedNote` where it is none. */
export function parseNote(note: string): Note {
  const at = note.lastIndexOf('\n\n')
  if (note.length > MOST_TEXT || at === -1 || !note.endsWith('\n')) throw new MalformedNote('not a signed note')
  const lines = note
    .slice(at + 2)
    .split('\n')
    .slice(0, -1)
  if (lines.length === 0 || lines.length > MOST_SIGNATURES) throw new MalformedNote('a note without signatures')
  return { text: note.slice(0, at + 1), signatures: lines.map(parseSignature) }
}

/** One line: `— name base64`. */
export function parseSignature(line: string): NoteSignature {
  const [, name = '', encoded = ''] = /^— (\S+) ([A-Za-z0-9+/=]+)$/u.exec(line) ?? []
  const bytes = bytesOf(encoded)
  if (!NAME.test(name) || bytes.length < 5) throw new MalformedNote('a line that is no signature')
  return { name, hash: bytes.slice(0, 4), signature: bytes.slice(4) }
}

export async function signNote(text: string, signers: readonly Signer[]): Promise<Note> {
  const bytes = UTF8.encode(text)
  const signatures = await Promise.all(
    signers.map(async (signer) => {
      const { name, hash } = signer.verifier
      return { name, hash, signature: await signer.sign(bytes) }
    }),
  )
  return { text, signatures }
}

/** Which of these keys have signed the note. A signature by one of them that is wrong makes the whole note worth nothing. */
export async function signersOf(
  { text, signatures }: Note,
  keys: readonly VerifierKey[],
): Promise<readonly VerifierKey[]> {
  const found: VerifierKey[] = []
  for (const key of keys) {
    for (const signature of signatures.filter((each) => isBy(each, key))) {
      if (!(await isSigned(text, signature, key))) throw new MalformedNote(`a signature by \`${key.name}\` is wrong`)
      found.push(key)
    }
  }
  return found
}

function isBy({ name, hash }: NoteSignature, key: VerifierKey): boolean {
  return name === key.name && hash.every((byte, i) => byte === key.hash[i])
}

async function isSigned(text: string, { signature }: NoteSignature, { kind, key }: VerifierKey): Promise<boolean> {
  const algorithm = { name: 'Ed25519' }
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), algorithm, false, ['verify'])
  if (kind === ED25519) {
    return crypto.subtle.verify(algorithm, imported, new Uint8Array(signature), UTF8.encode(text))
  }
  if (signature.length !== 8 + 64) return false
  const time = new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0)
  const signed = UTF8.encode(`cosignature/v1\ntime ${time}\n${text}`)
  return crypto.subtle.verify(algorithm, imported, signature.slice(8), signed)
}

/** What stands before the 32 bytes of a private Ed25519 key in PKCS #8. */
const PKCS8 = Uint8Array.of(
  0x30,
  0x2e,
  0x02,
  0x01,
  0x00,
  0x30,
  0x05,
  0x06,
  0x03,
  0x2b,
  0x65,
  0x70,
  0x04,
  0x22,
  0x04,
  0x20,
)

/** A signer of 32 secret bytes. */
export async function signerOf(sha256: Sha256, name: string, seed: Uint8Array): Promise<Signer> {
  if (!NAME.test(name)) throw new MalformedNote('a name without spaces or `+`')
  if (seed.length !== 32) throw new MalformedNote('an Ed25519 key of 32 bytes')
  const algorithm = { name: 'Ed25519' }
  const pkcs8 = new Uint8Array(concatenated([PKCS8, seed]))
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign'])
  const { x } = await crypto.subtle.exportKey('jwk', key)
  const raw = bytesOf((x ?? '').replaceAll('-', '+').replaceAll('_', '/'))
  if (raw.length !== 32) throw new MalformedNote('an Ed25519 key')
  return {
    verifier: { name, hash: keyHash(sha256, name, ED25519, raw), kind: ED25519, key: raw },
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign(algorithm, key, new Uint8Array(bytes))),
  }
}

function bytesOf(encoded: string): Uint8Array {
  try {
    return fromBase64(encoded)
  } catch (cause) {
    throw new MalformedNote('what should be base64 is not', { cause })
  }
}
