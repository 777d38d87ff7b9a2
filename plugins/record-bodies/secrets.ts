/** Digests in the place of secret values: in JSON bodies and forms by path, in rows by column, in parameters by name. */
import type {
  Batch,
  BodyHead,
  Digest,
  OutputColumn,
  Parameter,
  Redacted,
  RedactedParameters,
  Redactor,
  Secrets,
} from '../../src/plugin.ts'
import { NOTHING, readingOf, withoutMark, type Bytes } from '../../src/statement/json/body.ts'
import { canonicalText, DIGEST_MARK } from '../../src/statement/json/digest.ts'
import { EventStream } from '../../src/statement/json/events.ts'
import { FormBody } from '../../src/statement/json/form.ts'
import { formMask } from '../../src/statement/json/form-mask.ts'
import { JsonMasker, JsonMasks } from '../../src/statement/json/masker.ts'
import type { JsonPath } from '../../src/statement/json/path.ts'
import type { Asked } from './terms.ts'

/** What stands for a secret that is no single value, or too long for one. */
export const WITHHELD = '[secret]'

/** Rows are given back in pieces of about this size, so that a digest stands beside the bytes it is in. */
const PIECE_BYTES = 65_536

/** What takes out the secrets that are asked; nothing where none are. */
export function secretsOf({ columns, parameters, paths }: Asked): Secrets | undefined {
  if (columns.length + parameters.length + paths.length === 0) return undefined
  return {
    ...(paths.length > 0 && { body: (head: BodyHead, digest: Digest) => bodyRedactor(head, paths, digest) }),
    ...(columns.length + parameters.length > 0 && {
      rows: (answered: readonly OutputColumn[], digest: Digest, given: readonly Parameter[]) =>
        // Nobody can say into which columns a parameter flows.
        rowRedactor(answered, given.some((it) => isSecretParameter(it, parameters)) ? 'all' : columns, digest),
    }),
    ...(parameters.length > 0 && {
      parameters: (given: readonly Parameter[], digest: Digest) => redactedParameters(given, parameters, digest),
    }),
  }
}

// ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────

function bodyRedactor(
  { contentType, charset, status }: BodyHead,
  paths: Asked['paths'],
  digest: Digest,
): Redactor | undefined {
  const found: string[] = []
  const form = contentType === '' && status !== undefined ? 'nothing' : readingOf(contentType, charset)
  if (typeof form !== 'string') return undefined
  const masks = digestMasks(paths, digest, found)
  const bytes = reader()
  const taken = (out: Uint8Array): Redacted => ({ bytes: out, digests: found.splice(0) })
  return { push: (chunk) => taken(bytes.push(chunk)), end: () => taken(bytes.end()) }

  function reader(): Bytes {
    switch (form) {
      case 'document':
        return withoutMark(new JsonMasker(masks, { documents: 'one' }))
      case 'documents':
        return withoutMark(new JsonMasker(masks, { documents: 'many' }))
      case 'events':
        return new EventStream(() => new JsonMasker(masks, { documents: 'one' }))
      case 'form':
        return new FormBody(formMask(masks))
      default:
        return NOTHING
    }
  }
}

/**
 * A digest for each scalar at these paths, noted in `found`. Keys of an object may tell what is secret in it, so all of it is
 * withheld; where they are `plain` they stay, and its members are masked one by one.
 */
function digestMasks(paths: readonly JsonPath[], digest: Digest, found: string[], keys?: 'plain'): JsonMasks {
  return new JsonMasks(paths, () => ({
    instead: JSON.stringify(WITHHELD),
    ...(keys !== undefined && { keys }),
    scalar(text, kind) {
      const value = digest(canonicalText(text, kind))
      found.push(value)
      return JSON.stringify(DIGEST_MARK + value)
    },
  }))
}

// ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A column is secret by its name in the answer, and by any table column whose value flows into it. */
function rowRedactor(
  answered: readonly OutputColumn[],
  secret: Asked['columns'] | 'all',
  digest: Digest,
): (batch: Batch) => Iterable<Redacted> {
  const positions = answered.flatMap((column, at) => (secret === 'all' || isSecret(column, secret) ? [at] : []))
  if (positions.length === 0) return ({ bytes }) => [{ bytes, digests: [] }]
  const found: string[] = []
  const masks = digestMasks(positions.map(element), digest, found, 'plain')
  return function* ({ bytes }) {
    const masker = new JsonMasker(masks, { documents: 'many' })
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      yield { bytes: masker.push(bytes.subarray(at, at + PIECE_BYTES)), digests: found.splice(0) }
    }
    yield { bytes: masker.end(), digests: found.splice(0) }
  }
}

/** The path of a row's element. */
function element(at: number): JsonPath {
  return [{ descends: false, is: 'range', from: at, to: at + 1, by: 1 }]
}

/** A bare name is that of any column of any table, too: whoever asks may call it what they like in the answer. */
function isSecret({ name, sources }: OutputColumn, secret: Asked['columns']): boolean {
  const [own, ...from] = [name, ...sources].map((it) => it.toLowerCase())
  return secret.some((column) => {
    if (column === own) return true
    if (!column.includes('.')) return from.some((source) => source.split('.').slice(2).includes(column))
    return from.some((source) => related(source, column))
  })
}

/** The same column, with or without its project, or one that holds the other. */
function related(source: string, column: string): boolean {
  return spellings(source).some((a) =>
    spellings(column).some((b) => `${a}.`.startsWith(`${b}.`) || b.startsWith(`${a}.`)),
  )
}

/** `demo.shop.customers.email` is also `shop.customers.email`. */
function spellings(path: string): readonly string[] {
  const short = path.slice(path.indexOf('.') + 1)
  return short.split('.').length >= 3 ? [path, short] : [path]
}

// ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A parameter without a name is secret where all are. */
function redactedParameters(
  given: readonly Parameter[],
  secret: Asked['parameters'],
  digest: Digest,
): RedactedParameters {
  const digests: string[] = []
  const digested = (value: Parameter['value']): Parameter['value'] => {
    if (value === null) return null
    if (typeof value !== 'string') return value.map(digested)
    const found = digest(canonicalText(value, 'string'))
    digests.push(found)
    return DIGEST_MARK + found
  }
  const parameters = given.map((parameter): Parameter => {
    return isSecretParameter(parameter, secret) ? { ...parameter, value: digested(parameter.value) } : parameter
  })
  return { parameters, digests }
}

function isSecretParameter({ name }: Parameter, secret: Asked['parameters']): boolean {
  return secret.includes('*') || (name !== undefined && secret.includes(name.toLowerCase()))
}
