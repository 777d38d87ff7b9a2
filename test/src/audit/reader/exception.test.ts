/** An answer that breaks off midway never passes for a whole one, wherever the chunks are cut. */
import { expect, test } from 'vitest'
import { wholeOrBroken } from '../../../../src/audit/reader/exception.ts'

const MARK = '\r\n__exception__\r\nTAG'

async function through(text: string, size: number): Promise<string> {
  const bytes = new TextEncoder().encode(text)
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
  return new Response(source.pipeThrough(wholeOrBroken('TAG'))).text()
}

const sizes = [1, 2, 3, 5, 19, 1000]

test.each(sizes)('what is whole passes unchanged, in chunks of %i', async (size) => {
  for (const text of ['', 'a\r\n', '{"a":1}\n\r\n__exception__\r\nTAh\r\r\n', '\r\n__exception__\r\nTA', 'ü\r\n__ex']) {
    expect(await through(text, size)).toBe(text)
  }
})

test.each(sizes)('what is broken off fails, in chunks of %i', async (size) => {
  await expect(through(`{"a":1}\n${MARK}\r\nboom\n5 TAG\r\n__exception__\r\n`, size)).rejects.toMatchObject({
    code: 'upstream-failed',
  })
  await expect(through(`\r\r\n__exc${MARK}`, size)).rejects.toMatchObject({ code: 'upstream-failed' })
})
