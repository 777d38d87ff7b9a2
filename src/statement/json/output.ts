/** What leaves of one chunk: stretches of it, and bytes in the place of others. Copies nothing until something is replaced. */
export class Output {
  readonly #chunk: Uint8Array
  #buffer: Uint8Array | undefined
  #length = 0

  constructor(chunk: Uint8Array) {
    this.#chunk = chunk
  }

  /** The chunk's bytes from `start` to `end`. */
  pass(start: number, end: number): void {
    const buffer = this.#room(end - start)
    const { length } = buffer
    let at = this.#length
    if (end - start > SHORT) buffer.set(this.#chunk.subarray(start, end), at)
    else for (let i = start; i < end && at + i - start < length; i++) buffer[at + i - start] = this.#chunk[i] ?? 0
    at += end - start
    this.#length = at
  }

  add(bytes: Uint8Array): void {
    const buffer = this.#room(bytes.length)
    if (bytes.length > SHORT) buffer.set(bytes, this.#length)
    else for (let i = 0; i < bytes.length; i++) buffer[this.#length + i] = bytes[i] ?? 0
    this.#length += bytes.length
  }

  /** A short text, as most masked values are, goes in without memory of its own. */
  addText(text: string): void {
    const { length } = text
    const buffer = this.#room(length)
    const at = this.#length
    if (length <= TEXT_SHORT) {
      let i = 0
      while (i < length) {
        const code = text.charCodeAt(i)
        if (code >= 0x80) break
        buffer[at + i++] = code
      }
      if (i === length) {
        this.#length += length
        return
      }
    }
    this.add(encoder.encode(text))
  }

  /** All that leaves: what was added, then the chunk's bytes from `start`. */
  end(start: number): Uint8Array {
    if (this.#buffer === undefined) return this.#chunk.subarray(start)
    if (start < this.#chunk.length) this.pass(start, this.#chunk.length)
    return this.#buffer.subarray(0, this.#length)
  }

  #room(more: number): Uint8Array {
    const needed = this.#length + more
    if (this.#buffer === undefined) {
      this.#buffer = new Uint8Array(Math.max(needed, this.#chunk.length + SPARE))
    } else if (needed > this.#buffer.length) {
      const larger = new Uint8Array(2 * needed)
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    return this.#buffer
  }
}

const encoder = new TextEncoder()

/** Characters that a loop writes faster than an encoder does. */
const TEXT_SHORT = 128

/** Bytes that a loop copies faster than a call does. */
const SHORT = 48

/** Bytes by which replacements are expected to lengthen a chunk. */
const SPARE = 256
