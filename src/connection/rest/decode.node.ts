/** Content codings undone as bytes pass, within bounds: a small answer that unfolds to a huge one is cut. */
import { pipeline, Readable } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { RestFailure } from './failure.ts'

/** Up to so many decoded bytes no ratio is too high; short texts that repeat themselves are honest. */
const RATIO_FROM = 1_048_576
/** Most decoded bytes for each byte that travelled, past `RATIO_FROM`. */
const RATIO_MOST = 100
const CHUNK = 65_536
/** Largest window of zstd, as a power of two: RFC 9659 asks no more of HTTP. Memory is bounded by it. */
const ZSTD_WINDOW = 23

/** A transform that tells how much it took. */
type Decoder = ReturnType<typeof createGunzip>

const DECODERS: Readonly<Record<string, () => Decoder>> = {
  gzip: () => createGunzip({ chunkSize: CHUNK }),
  'x-gzip': () => createGunzip({ chunkSize: CHUNK }),
  deflate: () => createInflate({ chunkSize: CHUNK }),
  br: () => createBrotliDecompress({ chunkSize: CHUNK }),
  zstd: () => createZstdDecompress({ chunkSize: CHUNK, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW } }),
}

/** Undoes `encoding`, as `Content-Encoding` says it; `undefined` where nothing is to undo. Throws where it is unknown or chained. */
export function decoderFor(
  encoding: string,
): ((source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>) | undefined {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return undefined
  const make = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
  if (make === undefined) {
    throw new RestFailure('upstream-failed', 'the upstream answered in an encoding that is not understood', false)
  }
  return (source) => decoded(source, make(), name.endsWith('gzip'))
}

/** A second gzip member is read by its decoder; what else follows the end would be left out without a word. */
async function* decoded(
  source: AsyncIterable<Uint8Array>,
  decoder: Decoder,
  hasMembers: boolean,
): AsyncGenerator<Uint8Array> {
  let travelled = 0
  let unfolded = 0
  let isEnded = false
  let broken: unknown
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) {
        travelled += chunk.length
        yield chunk
      }
      isEnded = true
    } catch (error) {
      broken = error
      throw error
    }
  }
  const input = Readable.from(counted(), { objectMode: false })
  // Its error is that of the decoder, which is read below.
  pipeline(input, decoder, () => {})
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      unfolded += chunk.length
      if (unfolded > RATIO_FROM && unfolded > travelled * RATIO_MOST) {
        throw new RestFailure('upstream-failed', 'the answer of the upstream unfolds to far more than was sent', false)
      }
      yield chunk
    }
    if (!hasMembers && (!isEnded || decoder.bytesWritten < travelled)) {
      throw new RestFailure(
        'upstream-failed',
        'the answer of the upstream goes on after the end of its encoding',
        false,
      )
    }
  } catch (error) {
    // Some upstreams name a coding and send no byte at all: nothing is nothing in every coding.
    if (broken === undefined && isEnded && travelled === 0) return
    if (broken !== undefined) throw broken
    if (error instanceof RestFailure) throw error
    throw new RestFailure('upstream-failed', 'the answer of the upstream is not encoded as it says', false, {
      cause: error,
    })
  } finally {
    decoder.destroy()
    input.destroy()
  }
}
