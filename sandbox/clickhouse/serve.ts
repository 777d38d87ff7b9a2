/** Runs one request: prepares a connection of its own, runs exactly one statement, streams the answer. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { EngineError, literal, queryTag, type Engine, type Session } from './engine.ts'
import { contentType, isStreamed, namedFormat } from './formats.ts'
import { isInsert, readAsked, refused, type Asked } from './request.ts'

/** Statements that run at once; each may hold a libuv thread, and `KILL QUERY` needs one too. */
const AT_ONCE = 12
const WAITING = 500

export class Server {
  readonly #engine: Engine
  readonly #temporary: string
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** `temporary`: a folder that only we may read, for data on its way in. */
  constructor(engine: Engine, temporary: string) {
    this.#engine = engine
    this.#temporary = temporary
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let asked: Asked | undefined
    try {
      asked = await readAsked(request, this.#temporary)
      response.setHeader('X-ClickHouse-Query-Id', asked.id)
      await this.#enter()
      try {
        await this.#run(asked, response)
      } finally {
        this.#leave()
      }
    } catch (error) {
      fail(response, error)
    } finally {
      if (asked?.data !== undefined) await rm(asked.data.path, { force: true })
    }
  }

  async #run(asked: Asked, response: ServerResponse): Promise<void> {
    const sql = await this.#oneStatement(asked)
    // Nothing to insert: the official server answers the same.
    if (asked.data?.bytes === 0) return void response.end()
    const session = this.#engine.session()
    const gone = (): void => {
      if (!response.writableFinished) this.#engine.kill(asked.id).catch(() => undefined)
    }
    response.once('close', gone)
    try {
      for (const preparation of asked.preparations) await session.run(preparation)
      if (!response.destroyed) await answer(asked, session, sql, response)
    } catch (error) {
      throw untagged(error, asked.id)
    } finally {
      response.off('close', gone)
      await session.close()
    }
  }

  /**
   * The statement as the engine may see it. Data never stands in it: what follows a blank line in an INSERT's data
   * would be run as SQL.
   */
  async #oneStatement(asked: Asked): Promise<string> {
    const { count } = await this.#engine.classify(asked.sql)
    if (count > 1) throw refused(62, 'Syntax error (Multi-statements are not allowed)', 'SYNTAX_ERROR')
    if (!isInsert(asked.sql)) return asked.sql
    if (asked.data === undefined || (asked.data.bytes === 0 && namedFormat(asked.sql) === undefined)) {
      if (/\n[ \t\r]*\n/.test(asked.sql)) {
        throw refused(62, 'Syntax error: an INSERT with inline data may not hold a blank line', 'SYNTAX_ERROR')
      }
      return asked.sql
    }
    return fromFile(asked.sql, asked.data.path)
  }

  #enter(): Promise<void> | void {
    if (this.#running < AT_ONCE) {
      this.#running += 1
      return
    }
    if (this.#waiting.length >= WAITING) {
      throw refused(202, 'Too many simultaneous queries', 'TOO_MANY_SIMULTANEOUS_QUERIES')
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}

/** `INSERT INTO t (a) FORMAT X` → `INSERT INTO t (a) FROM INFILE '…' FORMAT X`. */
function fromFile(sql: string, path: string): string {
  const [, head = '', settings = '', format] =
    /^([\s\S]*?)(\s+SETTINGS\s[\s\S]*?)?(?:\s+FORMAT\s+([A-Za-z][A-Za-z0-9]*)|\s+VALUES)\s*;?\s*$/i.exec(sql) ?? []
  if (head === '')
    throw refused(62, 'Syntax error: an INSERT with a body ends with FORMAT and its name', 'SYNTAX_ERROR')
  return `${head} FROM INFILE ${literal(path)} COMPRESSION 'none'${settings} FORMAT ${format ?? 'Values'}`
}

async function answer(asked: Asked, session: Session, sql: string, response: ServerResponse): Promise<void> {
  const format = namedFormat(sql) ?? asked.format
  const tagged = `${queryTag(asked.id)}${sql}`
  const begun = performance.now()
  const reads = /^(?:\s|\(|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:select|with)\b/i.test(sql)
  const tag = randomBytes(8).toString('hex')
  if (!reads || asked.whole || !isStreamed(format)) {
    const { bytes, rowsRead, bytesRead, elapsed } = await session.run(tagged, format)
    begin(response, asked, format, tag, summary(isInsert(sql), rowsRead, bytesRead, elapsed))
    const body = isInsert(sql) ? Buffer.alloc(0) : bytes
    return pipeline([Readable.from([body], { objectMode: false }), ...outward(asked, response)])
  }
  const pieces = session.stream(tagged, format)
  // The first piece before the headers, so that an early error still has its status.
  const first = await pieces.next()
  begin(response, asked, format, tag, summary(false, 0, 0, (performance.now() - begun) / 1000))
  const body = Readable.from(brokenOff(first, pieces, tag, asked.id), { objectMode: false })
  await pipeline([body, ...outward(asked, response)])
}

/** The pieces; where the engine errs midway, ClickHouse's frame that says so. */
async function* brokenOff(
  first: IteratorResult<Buffer, void>,
  pieces: AsyncGenerator<Buffer>,
  tag: string,
  id: string,
): AsyncGenerator<Buffer> {
  if (first.done === true) return
  yield first.value
  try {
    yield* pieces
  } catch (error) {
    const message = `${messageOf(untagged(error, id))}\n`
    yield Buffer.from(
      `\r\n__exception__\r\n${tag}\r\n${message}${Buffer.byteLength(message)} ${tag}\r\n__exception__\r\n`,
    )
  }
}

function outward(asked: Asked, response: ServerResponse): Writable[] {
  return asked.gzip ? [createGzip({ level: 1 }), response] : [response]
}

function begin(response: ServerResponse, asked: Asked, format: string, tag: string, summed: string): void {
  response.writeHead(200, {
    'Content-Type': contentType(format),
    'X-ClickHouse-Server-Display-Name': 'sandbox',
    'X-ClickHouse-Format': format,
    'X-ClickHouse-Timezone': 'UTC',
    'X-ClickHouse-Exception-Tag': tag,
    'X-ClickHouse-Summary': summed,
    ...(asked.gzip && { 'Content-Encoding': 'gzip' }),
  })
}

function summary(wrote: boolean, rows: number, bytes: number, seconds: number): string {
  return JSON.stringify({
    read_rows: String(rows),
    read_bytes: String(bytes),
    written_rows: String(wrote ? rows : 0),
    written_bytes: String(wrote ? bytes : 0),
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: '0',
    elapsed_ns: String(Math.round(seconds * 1e9)),
  })
}

/** ClickHouse's codes that are the client's fault have a status of their own; the rest are 500. */
function statusOf(code: number): number {
  if (code === 60 || code === 81 || code === 46 || code === 115) return 404
  if (code === 241) return 500
  if ([26, 27, 36, 38, 41, 47, 53, 62, 72, 386, 456, 457].includes(code)) return 400
  if (code === 307) return 413
  if (code === 159) return 408
  if (code === 48) return 501
  return 500
}

/** The engine's words as though our tag did not stand before the statement. */
function untagged(error: unknown, id: string): unknown {
  if (!(error instanceof EngineError)) return error
  const tag = queryTag(id)
  const back = (words: string, at: string): string => `${words}${Math.max(1, Number(at) - tag.length)}`
  const message = error.message
    .replaceAll(/(position )(\d+)/g, (_, words: string, at: string) => back(words, at))
    .replaceAll(/(line 1, col )(\d+)/g, (_, words: string, at: string) => back(words, at))
    .replaceAll(tag, '')
  return new EngineError(error.code, message)
}

function messageOf(error: unknown): string {
  return error instanceof EngineError
    ? error.message
    : 'Code: 1002. DB::Exception: the sandbox failed. (UNKNOWN_EXCEPTION)'
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return
  if (!(error instanceof EngineError)) console.error('clickhouse:', error)
  if (response.headersSent) return void response.destroy()
  const code = error instanceof EngineError ? error.code : 1002
  response.writeHead(statusOf(code), {
    'Content-Type': 'text/plain; charset=UTF-8',
    'X-ClickHouse-Exception-Code': String(code),
    // The body may not have been read to its end.
    Connection: 'close',
  })
  response.end(messageOf(error))
}
