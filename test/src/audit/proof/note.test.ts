/** Signed notes, against the example of golang.org/x/mod/sumdb/note, and their misuse. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  COSIGNATURE,
  keyHash,
  MalformedNote,
  parseKey,
  parseNote,
  renderKey,
  renderNote,
  signerOf,
  signersOf,
  signNote,
} from '../../../../src/audit/proof/note.ts'
import { checkpointText, originParts, parseCheckpoint } from '../../../../src/audit/proof/entry.ts'
import type { Sha256 } from '../../../../src/audit/proof/merkle.ts'

const sha256: Sha256 = (...parts) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())

const TEXT = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.
`
const NOTE = `${TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const SEED = Buffer.from('gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=', 'base64')

describe('the known note', () => {
  test('is signed by the known key', async () => {
    const key = parseKey(sha256, VKEY)
    expect(await signersOf(parseNote(NOTE), [key])).toEqual([key])
    expect(renderKey(key)).toBe(VKEY)
  })

  test('is what its private key signs', async () => {
    const signer = await signerOf(sha256, 'PeterNeumann', SEED)
    expect(renderKey(signer.verifier)).toBe(VKEY)
    expect(renderNote(await signNote(TEXT, [signer]))).toBe(NOTE)
  })
})

describe('a note', () => {
  test('with one character changed is signed by nobody, and says so', async () => {
    const changed = parseNote(NOTE.replace('answer', 'Answer'))
    await expect(signersOf(changed, [parseKey(sha256, VKEY)])).rejects.toThrow('a signature by `PeterNeumann` is wrong')
  })

  test('counts for the keys that are trusted only, under their own names', async () => {
    const signer = await signerOf(sha256, 'Mallory', SEED)
    const note = await signNote(TEXT, [signer])
    expect(await signersOf(note, [parseKey(sha256, VKEY)])).toEqual([])
    const renamed = { ...note, signatures: note.signatures.map((each) => ({ ...each, name: 'PeterNeumann' })) }
    expect(await signersOf(renamed, [parseKey(sha256, VKEY)])).toEqual([])
  })

  test('may have the signatures of several keys: while one takes over from another', async () => {
    const [old, next] = [await signerOf(sha256, 'log', SEED), await signerOf(sha256, 'log', SEED.toReversed())]
    const note = parseNote(renderNote(await signNote(TEXT, [old, next])))
    expect(await signersOf(note, [old.verifier])).toEqual([old.verifier])
    expect(await signersOf(note, [next.verifier, old.verifier])).toEqual([next.verifier, old.verifier])
  })

  test('may have the cosignature of a witness, which binds its time', async () => {
    const witness = await signerOf(sha256, 'witness', SEED)
    const hash = keyHash(sha256, 'witness', COSIGNATURE, witness.verifier.key)
    const key = { ...witness.verifier, kind: COSIGNATURE, hash }
    const time = new Uint8Array(8)
    new DataView(time.buffer).setBigUint64(0, 1_700_000_000n)
    const made = await witness.sign(Buffer.from(`cosignature/v1\ntime 1700000000\n${TEXT}`))
    const cosigned = (at: Uint8Array) => ({
      text: TEXT,
      signatures: [{ name: 'witness', hash, signature: Buffer.concat([at, made]) }],
    })
    expect(await signersOf(cosigned(time), [key])).toEqual([key])
    await expect(signersOf(cosigned(time.with(7, 1)), [key])).rejects.toThrow(MalformedNote)
  })

  test.each([
    ['nothing', ''],
    ['no signature', TEXT],
    ['no empty line', `${TEXT}— PeterNeumann x08go/ZJ\n`],
    ['a line that is none', `${TEXT}\n- PeterNeumann x08go/ZJkuBS\n`],
    ['a signature that is no base64', `${TEXT}\n— PeterNeumann !!!\n`],
    ['no end', NOTE.trimEnd()],
  ])('is none with %s', (_, text) => {
    expect(() => parseNote(text)).toThrow(MalformedNote)
  })

  test.each([['a+b'], [VKEY.replace('c74f20a3', 'c74f20a4')], [VKEY.replace('+AR', '+AZ')], ['x+00000000+AQ==']])(
    'is checked by no such key: %s',
    (key) => {
      expect(() => parseKey(sha256, key)).toThrow(MalformedNote)
    },
  )
})

describe('a checkpoint', () => {
  const body = {
    origin: 'sluice/gw/01930000-0000-7000-8000-000000000001',
    size: 7,
    root: sha256(),
    time: 1_767_605_400_123,
  }

  test('is read as it was written', () => {
    for (const first of [1, 812])
      expect(parseCheckpoint(checkpointText({ ...body, first }))).toEqual({ ...body, first })
    expect(checkpointText({ ...body, first: 1 })).toBe(
      'sluice/gw/01930000-0000-7000-8000-000000000001\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\ntime 2026-01-05T09:30:00.123Z\n',
    )
    expect(originParts(body.origin)).toEqual({
      name: 'sluice',
      writer: 'gw',
      epoch: '01930000-0000-7000-8000-000000000001',
    })
  })

  test.each([
    ['-1', '7'],
    ['07', '7'],
    ['1e3', '7'],
    ['time x', 'time 2026-01-05T09:30:00.123Z'],
    ['AAAA', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='],
  ])('is none with %s', (wrong, right) => {
    const text = checkpointText({ ...body, first: 1 })
      .split('\n')
      .map((line) => (line === right ? wrong : line))
      .join('\n')
    expect(() => parseCheckpoint(text)).toThrow(MalformedNote)
  })
})
