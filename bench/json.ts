/**
 * `npm run bench -- json [--rounds 9]`: how fast bodies are masked, beside JSON.parse + walk + JSON.stringify with the same
 * masks; and what mask-patterns finds of our corpus. Each round runs all of them in turn; medians are told.
 */
import { maskJson } from '../plugins/mask-json/index.ts'
import { find, KINDS } from '../plugins/mask-patterns/find.ts'
import { maskPatterns } from '../plugins/mask-patterns/index.ts'
import type { Permitted } from '../src/exchange.ts'
import type { Fulfilment, Plugin, Transform } from '../src/plugin.ts'
import type { Runtime } from '../src/runtime.ts'
import { hasherOf, pads, type TextHasher } from '../src/statement/hmac.ts'
import { partial } from '../src/statement/json/value.ts'
import { CORPUS } from '../test/plugins/mask-patterns/corpus.ts'

const KEY = 'a key of at least sixteen bytes'
/** As the upstream's socket gives them. */
const CHUNK = 65_536
const SIZES = { '2 KB': 2_048, '100 KB': 102_400, '10 MB': 10_485_760 } as const
/** Work of one turn, so that small bodies are timed in bulk. */
const TURN_BYTES = 20_971_520

const MASKS = { '$.data[*].email': 'hash', '$..ssn': 'redact', '$.data[*].card.number': 'partial' }
const NO_HASH = { '$.data[*].email': 'redact', '$..ssn': 'redact', '$.data[*].card.number': 'partial' }

type Run = (body: Uint8Array) => number

/** Prints MB/s. */
export async function benchJson(rounds: number): Promise<void> {
  const hash = hasherOf(await pads(new TextEncoder().encode(KEY)))
  const [paths, patterns] = [await fulfilmentOf(maskJson), await fulfilmentOf(maskPatterns)]
  const runs: Readonly<Record<string, Run>> = {
    'parse + walk + stringify, 3 masks': (body) => walked(body, undefined),
    'mask-json, 3 masks': (body) => streamed(body, paths, 'mask-json', { response: NO_HASH }),
    'parse + walk + stringify, one hashes': (body) => walked(body, hash),
    'mask-json, one hashes': (body) => streamed(body, paths, 'mask-json', { response: MASKS }),
    'mask-patterns, all kinds': (body) => streamed(body, patterns, 'mask-patterns', { kinds: 'all' }),
  }
  console.log(`MB/s, medians of ${rounds} rounds\n`)
  console.log(['', ...Object.keys(SIZES)].join('\t'))
  const table = new Map<string, number[]>(Object.keys(runs).map((name) => [name, []]))
  for (const size of Object.values(SIZES)) {
    const body = bodyOf(size)
    const speeds = new Map<string, number[]>(Object.keys(runs).map((name) => [name, []]))
    for (let round = 0; round <= rounds; round++) {
      for (const [name, run] of Object.entries(runs)) {
        const speed = timed(run, body)
        // The first round warms up.
        if (round > 0) speeds.get(name)?.push(speed)
      }
    }
    for (const [name, all] of speeds) table.get(name)?.push(median(all))
  }
  for (const [name, speeds] of table) console.log([name, ...speeds.map((it) => it.toFixed(0))].join('\t'))
  const ratio = (a: string, b: string) =>
    (table.get(a) ?? []).map((it, i) => (it / (table.get(b)?.[i] ?? Number.NaN)).toFixed(2)).join('\t')
  console.log(`\nratio, 3 masks\t${ratio('mask-json, 3 masks', 'parse + walk + stringify, 3 masks')}`)
  console.log(`ratio, one hashes\t${ratio('mask-json, one hashes', 'parse + walk + stringify, one hashes')}\n`)
  measureFinding()
}

function timed(run: Run, body: Uint8Array): number {
  const times = Math.max(1, Math.floor(TURN_BYTES / body.length))
  let out = 0
  const start = performance.now()
  for (let i = 0; i < times; i++) out += run(body)
  const ms = performance.now() - start
  if (out === 0) throw new Error('nothing came out')
  return (times * body.length) / 1e3 / ms
}

function streamed(body: Uint8Array, fulfilment: Fulfilment, name: string, term: unknown): number {
  const head = { status: 200, contentType: 'application/json' }
  const transform = fulfilment.answer?.(head, { name, terms: [term] }, {} as Permitted) as Transform
  let bytes = 0
  for (let at = 0; at < body.length; at += CHUNK) bytes += transform.push(body.subarray(at, at + CHUNK)).length
  return bytes + transform.end().length
}

interface Customer {
  email: string
  ssn: string
  card: { number: string }
}

/** What a gateway without a streaming masker does. */
function walked(body: Uint8Array, hash: TextHasher | undefined): number {
  const document = JSON.parse(new TextDecoder().decode(body)) as { data: Customer[] }
  for (const customer of document.data) {
    customer.email = hash === undefined ? '[redacted]' : hash(customer.email)
    customer.card.number = partial({ keepFirst: 0, keepLast: 4 }, customer.card.number)
  }
  redactEach(document, 'ssn')
  return new TextEncoder().encode(JSON.stringify(document)).length
}

/** `$..name`, which has to be looked for everywhere. */
function redactEach(value: unknown, name: string): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const element of value) redactEach(element, name)
    return
  }
  const members = value as Record<string, unknown>
  for (const key in members) {
    if (key === name) members[key] = '[redacted]'
    else redactEach(members[key], name)
  }
}

/** Customers as an API gives them, to about this many bytes. */
function bodyOf(size: number): Uint8Array {
  const data: unknown[] = []
  for (let id = 1, bytes = 0; bytes < size - 300; id++) {
    const customer = {
      id,
      name: `Customer ${id}`,
      email: `customer.${id}@example.com`,
      ssn: `123-45-${String(1000 + (id % 9000))}`,
      card: { brand: 'visa', number: '4111111111111111', expires: '2031-04' },
      address: {
        street: `${id} Main Street`,
        city: 'Springfield',
        country: 'US',
        location: [39.78 + id / 1e6, -89.65],
      },
      tags: ['newsletter', 'retail', `segment-${id % 7}`],
      active: id % 3 !== 0,
      balance: id * 1.37,
      notes: 'Prefers to be called in the afternoon; asked about the delivery of the last order.',
    }
    data.push(customer)
    bytes += JSON.stringify(customer).length + 1
  }
  return new TextEncoder().encode(JSON.stringify({ data, next: null }))
}

async function fulfilmentOf(plugin: Plugin<never> | Plugin<{ keys: Record<string, string> }>): Promise<Fulfilment> {
  const runtime = { secrets: { read: () => Promise.resolve(KEY) } } as unknown as Runtime
  const known = plugin as Plugin<{ keys: Record<string, string> }>
  const hooks = await known.create(known.options.parse({ keys: { default: 'env:KEY' } }), runtime)
  const found = hooks.fulfil?.[plugin.name]
  if (found === undefined) throw new Error(`\`${plugin.name}\` fulfils nothing`)
  return found
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Precision and recall by kind: a value counts where it is found exactly. */
function measureFinding(): void {
  console.log(`mask-patterns over ${CORPUS.length} texts of our own\n`)
  console.log(['kind', 'marked', 'found', 'right', 'precision', 'recall'].join('\t'))
  for (const kind of KINDS) {
    let [marked, found, right] = [0, 0, 0]
    for (const sample of CORPUS) {
      const own = sample.found.filter((it) => it.kind === kind)
      const got = find(sample.text, KINDS).filter((it) => it.kind === kind)
      marked += own.length
      found += got.length
      right += got.filter((it) => own.some(({ start, end }) => start === it.start && end === it.end)).length
    }
    console.log([kind, marked, found, right, (right / found).toFixed(2), (right / marked).toFixed(2)].join('\t'))
  }
}
