/** Witnesses that keep to C2SP tlog-witness, and such that do not. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { sha256 } from '../../../../src/audit/chain/keys.node.ts'
import { createWitness } from '../../../../src/audit/chain/witness.ts'
import { parseNote, renderKey, renderNote, signersOf } from '../../../../src/audit/proof/note.ts'
import { cosigned, key, NAME, signingKey, TestWitness, type Answer } from '../../../support/witness.ts'
import { tempDir } from '../stage.ts'
import { chainIn, changed, extendBy, Kept, ORIGIN, segmentOf, segments, signer } from './stage.ts'

async function listening(): Promise<TestWitness> {
  const witness = await new TestWitness(ORIGIN, [signer.verifier]).listen()
  onTestFinished(() => witness.close())
  return witness
}

/** Signs and sends a head of what is in this folder, after these segments were added to it. */
async function headed(dir: string, server: TestWitness, added: ReturnType<typeof segments>) {
  const kept = new Kept()
  const witness = createWitness({ name: 'w1', url: server.url, key: renderKey(key) }, sha256, fetch)
  const chain = await chainIn(dir, { sinks: [kept], witnesses: [witness] })
  await extendBy(chain, added)
  chain.start()
  await vi.waitFor(() => expect(kept.checkpoints).toHaveLength(1))
  // Once more, so that what the witness said is acted upon.
  await chain.close(5_000)
  const by = await signersOf(parseNote(kept.last!.note), [signer.verifier, key])
  return { by: by.map(({ name }) => name), problems: chain.status().problems, kept }
}

describe('a witness', () => {
  test('cosigns each head with proof that the tree only grew, over restarts of ours', async () => {
    const [dir, server] = [await tempDir(), await listening()]
    let to = 0
    for (const grow of [1, 0, 1, 5, 30, 0]) {
      const { by, problems } = await headed(dir, server, segments(to + 1, to + grow))
      to += grow
      expect({ by, problems }).toEqual({ by: ['sluice', NAME], problems: {} })
      expect(server.seen.size).toBe(to)
    }
    // After a restart it says once how far it has come; nothing else is refused.
    expect(new Set(server.statuses)).toEqual(new Set([200, 409]))
    expect(server.statuses.filter((status) => status === 409)).toHaveLength(5)
  })

  test('is not asked about an empty tree', async () => {
    const server = await listening()
    expect(await headed(await tempDir(), server, [])).toMatchObject({ by: ['sluice'], problems: {} })
    expect(server.statuses).toEqual([])
  })

  test('that lost its state begins anew', async () => {
    const [dir, server] = [await tempDir(), await listening()]
    await headed(dir, server, segments(1, 5))
    server.seen = { size: 0, root: new Uint8Array(32) }
    expect(await headed(dir, server, segments(6, 7))).toMatchObject({ by: ['sluice', NAME], problems: {} })
  })

  test('that has seen a larger tree tells of one that was taken back', async () => {
    const server = await listening()
    await headed(await tempDir(), server, segments(1, 5))
    expect(await headed(await tempDir(), server, segments(1, 4))).toMatchObject({
      by: ['sluice'],
      problems: { 'witness-w1': 'WITNESS_AHEAD' },
    })
  })

  test('that has seen another tree of that size, or one that ours did not grow out of, tells of two histories', async () => {
    const server = await listening()
    await headed(await tempDir(), server, segments(1, 5))
    const other = [...segments(1, 4), changed(segmentOf(5))]
    expect((await headed(await tempDir(), server, other)).problems).toEqual({ 'witness-w1': 'WITNESS_DIFFERS' })
    expect((await headed(await tempDir(), server, [...other, segmentOf(6)])).problems).toEqual({
      'witness-w1': 'HTTP_422',
    })
  })

  test('that does not know the log, or does not answer at all, holds nothing up', async () => {
    const server = await listening()
    server.origin = 'another'
    expect(await headed(await tempDir(), server, segments(1, 2))).toMatchObject({
      by: ['sluice'],
      problems: { 'witness-w1': 'HTTP_404' },
    })
    server.url = 'http://127.0.0.1:1/'
    const { problems, kept } = await headed(await tempDir(), server, segments(1, 2))
    expect(Object.keys(problems)).toEqual(['witness-w1'])
    expect(kept.last!.size).toBe(2)
  })

  test.each<[string, string, (answer: Answer, note: string) => Answer | Promise<Answer>, number?]>([
    [
      'over another text',
      'COSIGNATURE_WRONG',
      async (answer) => ({ ...answer, body: await cosigned(`${ORIGIN}\n9\nAA==\n`) }),
    ],
    [
      'under another key hash',
      'COSIGNATURE_WRONG',
      async (answer, note) => ({
        ...answer,
        body: await cosigned(textIn(note), { name: NAME, hash: Uint8Array.of(1, 2, 3, 4) }),
      }),
    ],
    [
      'under another name',
      'COSIGNATURE_WRONG',
      async (answer, note) => ({ ...answer, body: await cosigned(textIn(note), { ...key, name: 'else' }) }),
    ],
    ['that is none', 'COSIGNATURE_WRONG', (answer) => ({ ...answer, body: `— ${NAME} ====\n` })],
    ['of nothing', 'COSIGNATURE_WRONG', (answer) => ({ ...answer, body: '' })],
    ['without end', 'ANSWER_TOO_LONG', (answer) => ({ ...answer, body: `${'x'.repeat(100)}\n`.repeat(1_000) })],
    ['with an error', 'HTTP_503', () => ({ status: 503, body: 'no' }), 503],
    ['elsewhere', 'unknown', () => ({ status: 307, body: '' }), 307],
    ['with a conflict that says nothing', 'HTTP_409', () => ({ status: 409, body: 'what?' }), 409],
    ['with a conflict for ever', 'WITNESS_DIFFERS', () => ({ status: 409, body: '0\n' }), 409],
  ])('whose answer is one %s is not on the note: %s', async (_, problem, instead, said = 200) => {
    const server = await listening()
    server.instead = (answer, note) => (answer.status === 409 && said === 200 ? answer : instead(answer, note))
    const { by, problems, kept } = await headed(await tempDir(), server, segments(1, 3))
    expect({ by, problems }).toEqual({ by: ['sluice'], problems: { 'witness-w1': problem } })
    expect(kept.last!.note).not.toContain(NAME)
  })

  test('whose signatures have those of others beside them: ours only are taken', async () => {
    const server = await listening()
    server.instead = (answer) => ({ ...answer, body: `— else AAAAAAA=\nnot a signature\n${answer.body}` })
    const { by, kept } = await headed(await tempDir(), server, segments(1, 3))
    expect(by).toEqual(['sluice', NAME])
    expect(kept.last!.note.match(/^— /gm)).toHaveLength(2)
  })
})

test.each([
  ['that is none', 'nothing', 'not a verifier key'],
  ['of another kind', renderKey(signingKey), 'is not one that cosigns'],
])('a witness whose key is one %s is refused at the start', (_, given, message) => {
  expect(() => createWitness({ name: 'w1', url: 'http://127.0.0.1:1', key: given }, sha256, fetch)).toThrow(message)
})

function textIn(body: string): string {
  const note = parseNote(body.slice(body.indexOf('\n\n') + 2))
  return renderNote({ ...note, signatures: [] }).slice(0, -1)
}
