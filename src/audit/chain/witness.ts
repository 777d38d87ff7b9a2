/** Asks an HTTP witness to cosign a checkpoint (C2SP tlog-witness), with proof that the tree only grew. */
import { base64 } from '../../bytes.ts'
import { parseCheckpoint } from '../proof/entry.ts'
import { proveConsistency, type ReadNode, type Sha256 } from '../proof/merkle.ts'
import {
  parseSignature,
  renderNote,
  signersOf,
  type Note,
  type NoteSignature,
  type VerifierKey,
} from '../proof/note.ts'

export interface WitnessOptions {
  readonly name: string
  /** Its API's root: `/add-checkpoint` is added. */
  readonly url: string
  readonly key: VerifierKey
}

/** Longest answer, in characters. */
const MOST_ANSWER = 16_384

export class Witness {
  readonly name: string
  readonly #options: WitnessOptions
  readonly #sha256: Sha256
  readonly #fetch: typeof globalThis.fetch
  /** The size of the last checkpoint that it cosigned, as far as we know. */
  #size = 0

  constructor(options: WitnessOptions, sha256: Sha256, fetch: typeof globalThis.fetch) {
    this.name = options.name
    this.#options = options
    this.#sha256 = sha256
    this.#fetch = fetch
  }

  /** Its cosignatures. Rejects where it does not give one that holds. */
  async cosign(note: Note, read: ReadNode, signal: AbortSignal): Promise<readonly NoteSignature[]> {
    const { size } = parseCheckpoint(note.text)
    let answer = await this.#ask(note, size, read, signal)
    if (answer.status === 409) {
      // It knows an earlier one than we thought, after a restart of ours or a loss of its own: it says which.
      this.#size = sizeOf(await textOf(answer), size)
      answer = await this.#ask(note, size, read, signal)
    }
    if (answer.status !== 200) {
      await answer.body?.cancel()
      throw Object.assign(new Error(`the witness answered ${answer.status}`), { code: `HTTP_${answer.status}` })
    }
    const signatures = (await textOf(answer))
      .split('\n')
      .filter((line) => line !== '')
      .map(parseSignature)
    const theirs = { text: note.text, signatures }
    const by = await signersOf(theirs, [this.#options.key])
    if (by.length === 0) throw Object.assign(new Error('not signed by its key'), { code: 'WRONG_COSIGNATURE' })
    this.#size = size
    const { name, hash } = this.#options.key
    return signatures.filter((each) => each.name === name && each.hash.every((byte, i) => byte === hash[i]))
  }

  async #ask(note: Note, size: number, read: ReadNode, signal: AbortSignal): Promise<Response> {
    const old = this.#size
    const proof = old === 0 || old === size ? [] : await proveConsistency(this.#sha256, read, old, size)
    const body = `old ${old}\n${proof.map((hash) => `${base64(hash)}\n`).join('')}\n${renderNote(note)}`
    const url = `${this.#options.url.replace(/\/$/, '')}/add-checkpoint`
    return this.#fetch(url, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'text/plain' },
      redirect: 'error',
      signal,
    })
  }
}

function sizeOf(text: string, most: number): number {
  const size = /^\d{1,16}\n?$/.test(text) ? Number(text) : Number.NaN
  // More than we have: another log under our name, or ours before it was rolled back. No proof can be given of that.
  if (!(size <= most)) throw Object.assign(new Error('the witness knows a larger tree'), { code: 'WITNESS_AHEAD' })
  return size
}

async function textOf(answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MOST_ANSWER) throw new Error('the answer of the witness is too long')
  }
  return text
}
