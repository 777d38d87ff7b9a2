/** Server-sent events whose data is JSON. Each event is held until it is whole, never more than one. */
import { concatenated } from '../../bytes.ts'
import { MalformedBody, type Bytes } from './body.ts'

/** Bytes of one event, its line that is not whole yet included. */
const EVENT_BYTES = 1_048_576

const CR = 0x0d
const LF = 0x0a
const BOM = '\ufeff'

const encoder = new TextEncoder()

/**
 * `document` makes what reads the data of one event; `field` gives the text in which an `event` or `id` goes out. Data that is
 * empty or `[DONE]` passes; a comment goes out empty, for it only keeps a connection alive; a field that the standard does not
 * have is dropped, as its readers do. Lines leave with a line feed, whatever they came with.
 */
export class EventStream implements Bytes {
  readonly #document: () => Bytes
  readonly #field: (text: string) => string
  readonly #maxBytes: number
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  /** Of the line under way: what earlier chunks brought. */
  #line: Uint8Array[] = []
  /** Of the event under way. */
  #bytes = 0
  #data: string[] = []
  #fields = ''
  #isFirst = true
  /** A line feed now would belong to the carriage return before it. */
  #isAfterCr = false

  constructor(document: () => Bytes, field: (text: string) => string = (text) => text, maxBytes = EVENT_BYTES) {
    this.#document = document
    this.#field = field
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): Uint8Array {
    let out = ''
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (byte === LF && this.#isAfterCr && i === start) {
        start = i + 1
        this.#isAfterCr = false
      } else if (byte === LF || byte === CR) {
        this.#hold(chunk.subarray(start, i))
        out += this.#endLine()
        this.#isAfterCr = byte === CR
        start = i + 1
      } else if (i === start) this.#isAfterCr = false
    }
    if (start < chunk.length) this.#hold(chunk.slice(start))
    return encoder.encode(out)
  }

  /** An event that ends with the stream has no blank line behind it, nor is it given one. */
  end(): Uint8Array {
    const last = this.#line.length > 0 ? this.#endLine() : ''
    return encoder.encode(last + this.#event())
  }

  #hold(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (this.#bytes > this.#maxBytes) throw new MalformedBody(`an event of more than ${this.#maxBytes} bytes`)
    if (bytes.length > 0) this.#line.push(bytes)
  }

  /** What goes out behind this line: the event that it ends, or nothing yet. */
  #endLine(): string {
    const bytes = concatenated(this.#line)
    let line = this.#decoder.decode(bytes)
    this.#line = []
    if (this.#isFirst && line.startsWith(BOM)) line = line.slice(1)
    this.#isFirst = false
    if (line === '') return `${this.#event()}\n`
    const colon = line.indexOf(':')
    if (colon === 0) {
      this.#bytes -= bytes.length
      return ':\n'
    }
    const name = colon < 0 ? line : line.slice(0, colon)
    const rest = colon < 0 ? '' : line.slice(colon + 1)
    this.#take(name, rest.startsWith(' ') ? rest.slice(1) : rest)
    return ''
  }

  #take(name: string, value: string): void {
    if (name === 'data') this.#data.push(value)
    else if (name === 'event' || name === 'id') this.#fields += `${name}: ${oneLine(this.#field(value))}\n`
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) this.#fields += `retry: ${value}\n`
  }

  /** The lines of the event under way, without the blank one that ends it. */
  #event(): string {
    const data = this.#data.length === 0 ? '' : this.#masked(this.#data.join('\n'))
    const text = this.#fields + data
    this.#data = []
    this.#fields = ''
    this.#bytes = 0
    return text
  }

  #masked(data: string): string {
    if (data === '' || data === '[DONE]') return `data: ${data}\n`
    const document = this.#document()
    const masked = concatenated([document.push(encoder.encode(data)).slice(), document.end()])
    return this.#decoder
      .decode(masked)
      .split('\n')
      .map((line) => `data: ${line}\n`)
      .join('')
  }
}

function oneLine(text: string): string {
  if (/[\r\n]/.test(text)) throw new MalformedBody('a field of more than one line')
  return text
}
