/** Rows as they stream by, in a few bytes: how many, and digests with and without their order. */
import { createHash } from 'node:crypto'

/** What is known of a list of rows. */
export interface RowsSeen {
  readonly rowCount: number
  /** SHA-256 over the row's digests in their order, 64 hex digits. */
  readonly ordered: string
  /** The sum of the rows' digests: equal for equal rows in any order. */
  readonly unordered: string
}

const MODULUS = 1n << 256n

/** Takes rows one by one, each a line without its end. */
export class RowTally {
  readonly #ordered = createHash('sha256')
  #sum = 0n
  #count = 0

  add(row: string): void {
    const digest = createHash('sha256').update(row).digest()
    this.#ordered.update(digest)
    this.#sum = (this.#sum + BigInt(`0x${digest.toString('hex')}`)) % MODULUS
    this.#count += 1
  }

  seen(): RowsSeen {
    return {
      rowCount: this.#count,
      ordered: this.#ordered.copy().digest('hex'),
      unordered: this.#sum.toString(16),
    }
  }
}

/** Longest line: the gateway's own batches are far shorter. */
const MOST_LINE = 64 * 1024 * 1024

/** Whole lines of a stream of UTF-8, without their ends. Throws where a line is too long. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8')
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MOST_LINE) throw new Error('a line is too long')
    yield* lines
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}
