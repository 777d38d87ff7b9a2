/** Asks an HTTP witness to cosign a checkpoint (C2SP tlog-witness), with proof that the tree only grew. */
import { base64 } from '../../bytes.ts'
import { Failure } from '../../failure.ts'
import { parseCheckpoint } from '../proof/entry.ts'
import { proveConsistency, type ReadNode, type Sha256 } from '../proof/merkle.ts'
import {
  COSIGNATURE,
  MalformedNote,
  parseKey,
  parseSignature,
  renderNote,
  signersOf,
  type Note,
  type NoteSignature,
  type VerifierKey,
} from '../proof/note.ts'

/** As it is configured. */
export interface WitnessOptions {
  readonly name: string
  /** Its API's root: `/add-checkpoint` is added. */
  readonly url: string
  /** What checks its cosignatures: `<name>+<hash>+<base64 of 0x04 and the key>`. */
  readonly key: string
}

/** Longest answer, in characters. */
const MOST_ANSWER = 16_384

/** Why a witness gave no cosignature that holds; the code is what operators see. */
export class WitnessProblem extends Error {
  override readonly name = 'WitnessProblem'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Throws `internal` where the key is none of a witness. */
export function createWitness(options: WitnessOptions, sha256: Sha256, fetch: typeof globalThis.fetch): Witness {
  return new Witness(options, keyOf(options, sha256), sha256, fetch)
}

function keyOf({ name, key }: WitnessOptions, sha256: Sha256): VerifierKey {
  const fix = 'name the verifier key of the witness as its operator publishes it: `name+hash+key`, of type 4'
  try {
    const parsed = parseKey(sha256, key)
    if (parsed.kind === COSIGNATURE) return parsed
  } catch (cause) {
    if (!(cause instanceof MalformedNote)) throw cause
    throw new Failure('internal', `the key of the witness \`${name}\` is ${cause.message}`, { cause, fix })
  }
  throw new Failure('internal', `the key of the witness \`${name}\` is not one that cosigns`, { fix })
}

export class Witness {
  readonly name: string
  readonly #url: string
  readonly #key: VerifierKey
  readonly #sha256: Sha256
  readonly #fetch: typeof globalThis.fetch
  /** The size of the last checkpoint that it cosigned, as far as we know. */
  #size = 0

  constructor({ name, url }: WitnessOptions, key: VerifierKey, sha256: Sha256, fetch: typeof globalThis.fetch) {
    this.name = name
    this.#url = `${url.replace(/\/$/, '')}/add-checkpoint`
    this.#key = key
    this.#sha256 = sha256
    this.#fetch = fetch
  }

  /** Its cosignatures. Rejects, mostly with a `WitnessProblem`, where it does not give one that holds. */
  async cosign(note: Note, read: ReadNode, signal: AbortSignal): Promise<readonly NoteSignature[]> {
    const { size } = parseCheckpoint(note.text)
    const asked = this.#size
    let answer = await this.#ask(note, size, read, signal)
    if (answer.status === 409) {
      // It knows another than we thought, after a restart of ours or a loss of its own: it says which.
      this.#size = toldSize(await textOf(answer), asked, size)
      answer = await this.#ask(note, size, read, signal)
    }
    if (answer.status !== 200) {
      await answer.body?.cancel()
      throw new WitnessProblem(`HTTP_${answer.status}`, 'the witness refused')
    }
    const signatures = await this.#verified(note, await textOf(answer))
    this.#size = size
    return signatures
  }

  /** The lines by its key, each of which MUST hold; lines by others are none of ours. */
  async #verified({ text }: Note, answer: string): Promise<readonly NoteSignature[]> {
    const { name, hash } = this.#key
    const signatures = answer
      .split('\n')
      .filter((line) => line.startsWith(`— ${name} `))
      .map(parsed)
      .filter((each) => hash.every((byte, i) => byte === each.hash[i]))
    if (signatures.length === 0) throw wrong('the witness did not sign with its key')
    try {
      await signersOf({ text, signatures }, [this.#key])
    } catch {
      throw wrong('the cosignature does not hold')
    }
    return signatures
  }

  async #ask(note: Note, size: number, read: ReadNode, signal: AbortSignal): Promise<Response> {
    const old = this.#size
    const proof = old === 0 || old === size ? [] : await proveConsistency(this.#sha256, read, old, size)
    const body = `old ${old}\n${proof.map((hash) => `${base64(hash)}\n`).join('')}\n${renderNote(note)}`
    const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
    return this.#fetch(this.#url, { method: 'POST', body, headers, redirect: 'error', signal })
  }
}

function parsed(line: string): NoteSignature {
  try {
    return parseSignature(line)
  } catch {
    throw wrong('the cosignature is none')
  }
}

function wrong(message: string): WitnessProblem {
  return new WitnessProblem('COSIGNATURE_WRONG', message)
}

/** The size that a witness says it knows, where it is one for which a proof can be given. */
function toldSize(text: string, asked: number, size: number): number {
  const told = /^\d{1,15}\n?$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(told)) throw new WitnessProblem('HTTP_409', 'the witness refused')
  // More than we have: another log under our name, or ours before it was rolled back. No proof can be given of that.
  if (told > size) throw new WitnessProblem('WITNESS_AHEAD', 'the witness has seen a larger tree')
  if (told === asked) throw new WitnessProblem('WITNESS_DIFFERS', 'the witness has seen another tree of this size')
  return told
}

async function textOf(answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MOST_ANSWER) throw new WitnessProblem('ANSWER_TOO_LONG', 'the answer is too long')
  }
  return text
}
