/** A witness that keeps to C2SP tlog-witness, in the test's own process, and checks what it is sent. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { parseCheckpoint } from '../../src/audit/proof/entry.ts'
import { isConsistent, type Sha256 } from '../../src/audit/proof/merkle.ts'
import {
  COSIGNATURE,
  keyHash,
  parseNote,
  signerOf,
  signersOf,
  type Signer,
  type VerifierKey,
} from '../../src/audit/proof/note.ts'

const sha256: Sha256 = (...parts) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())

export const NAME = 'witness.example/w1'
const secret: Signer = await signerOf(sha256, NAME, new Uint8Array(32).fill(9))
/** The same key as one that signs, and as one that cosigns. */
export const signingKey: VerifierKey = secret.verifier
export const key: VerifierKey = {
  ...signingKey,
  kind: COSIGNATURE,
  hash: keyHash(sha256, NAME, COSIGNATURE, signingKey.key),
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly type?: string
}

/** Of one log. */
export class TestWitness {
  readonly statuses: number[] = []
  seen: { readonly size: number; readonly root: Uint8Array } = { size: 0, root: new Uint8Array(32) }
  /** The log's name, or what it begins with. */
  origin: string
  /** Any of which must have signed. */
  readonly logKeys: readonly VerifierKey[]
  /** Instead of its answer. */
  instead: ((answer: Answer, note: string) => Answer | Promise<Answer>) | undefined
  url = ''
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  constructor(origin: string, logKeys: readonly VerifierKey[]) {
    this.origin = origin
    this.logKeys = logKeys
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/prefix/`
    return this
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    const isRight = request.method === 'POST' && request.url === '/prefix/add-checkpoint'
    const right = isRight ? await this.#add(body) : { status: 405, body: '' }
    const { status, body: said, type = 'text/plain' } = (await this.instead?.(right, body)) ?? right
    this.statuses.push(status)
    response.writeHead(status, { 'content-type': type }).end(said)
  }

  async #add(body: string): Promise<Answer> {
    const [head = '', ...rest] = body.split('\n\n')
    const [old = '', ...proof] = head.split('\n')
    const note = parseNote(rest.join('\n\n'))
    const { origin, size, root } = parseCheckpoint(note.text)
    if (!origin.startsWith(this.origin)) return { status: 404, body: '' }
    if ((await signersOf(note, this.logKeys)).length === 0) return { status: 403, body: '' }
    const from = Number(/^old (0|[1-9]\d*)$/.exec(old)?.[1] ?? Number.NaN)
    if (!(from <= size)) return { status: 400, body: '' }
    if (from !== this.seen.size) return this.#conflict()
    const hashes = proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')))
    if (from === size && size > 0 && !Buffer.from(root).equals(this.seen.root)) return this.#conflict()
    const grew = from === 0 ? hashes.length === 0 : isConsistent(sha256, from, this.seen.root, size, root, hashes)
    if (!grew) return { status: 422, body: '' }
    this.seen = { size, root }
    return { status: 200, body: await cosigned(note.text) }
  }

  #conflict(): Answer {
    return { status: 409, body: `${this.seen.size}\n`, type: 'text/x.tlog.size' }
  }
}

/** A line that cosigns this text. */
export async function cosigned(of: string, { name, hash }: Pick<VerifierKey, 'name' | 'hash'> = key): Promise<string> {
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(1_767_605_400n)
  const made = await secret.sign(Buffer.from(`cosignature/v1\ntime 1767605400\n${of}`))
  return `— ${name} ${Buffer.concat([hash, time, made]).toString('base64')}\n`
}
