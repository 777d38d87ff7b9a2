/** `sluice policy simulate`: recorded exchanges, decided again. */
import { resolve } from 'node:path'
import type { ClickHouse } from '../../audit/reader/contract.ts'
import { parseDuration } from '../../policy/duration.ts'
import { isCasesFile, isProblems, loadPolicies, type LoadedPolicies, type SourceFile } from '../../policy/index.ts'
import { loadConfig, Refusal, type Loaded } from '../node.ts'
import { renderCheck, renderSimulation } from '../simulate/render.ts'
import { check, simulate, type InForce } from '../simulate/simulate.ts'
import { decisionsOf, documentsOf, openStore, type Span } from '../simulate/store.ts'
import { argumentsOf, type Command } from './command.ts'
import { policiesOf, vocabularyOf } from './policies.ts'

/** Something would let more through. */
const LOOSENED = 3
/** A record does not come out again as it is. */
const DISAGREED = 1
/** Nothing of the kind was found, and some records could not be decided again: who asks must not take it for a yes. */
const UNDECIDED = 5

const DEFAULT_LIMIT = 100_000
const MOST = 10_000_000

const OPTIONS = {
  policies: { type: 'string' },
  since: { type: 'string', default: '7d' },
  until: { type: 'string' },
  principal: { type: 'string' },
  connection: { type: 'string' },
  limit: { type: 'string', default: String(DEFAULT_LIMIT) },
  json: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
} as const

export const policySimulate: Command = {
  name: 'policy simulate',
  takes: '--policies DIR [--since 7d] [--check]',
  about: 'decide recorded exchanges again under the policies in DIR; say what would change (3: more gets through)',
  async run(args) {
    const { values, positionals } = argumentsOf(args, OPTIONS)
    if (positionals.length > 0) throw new Refusal(`\`${positionals[0]}\` is not understood here`)
    if (values.policies === undefined && !values.check) {
      throw new Refusal('which policies?\nname their folder with --policies, or --check those that were in force')
    }
    const span = spanOf(values)
    const loaded = await loadConfig(values.config)
    const next = values.policies === undefined ? undefined : await policiesIn(loaded, values.policies)
    const client = await openStore(loaded)
    try {
      const inForce = await recordedPolicies(loaded, client)
      return await (values.check || next === undefined
        ? checked(client, span, inForce, values.json)
        : simulated(client, span, next, inForce, values.json))
    } finally {
      await client.close()
    }
  },
}

async function simulated(
  client: ClickHouse,
  span: Span,
  next: LoadedPolicies,
  inForce: InForce,
  json: boolean,
): Promise<number> {
  const found = await simulate(decisionsOf(client, span, AbortSignal.timeout(MOST_MS)), next, inForce)
  console.log(json ? jsonOf(span, { policies: next.digest, ...found }) : renderSimulation(found))
  warnOfLimit(span, found.records)
  if (found.loosened > 0) return LOOSENED
  return found.undecided.length > 0 ? UNDECIDED : 0
}

async function checked(client: ClickHouse, span: Span, inForce: InForce, json: boolean): Promise<number> {
  const found = await check(decisionsOf(client, span, AbortSignal.timeout(MOST_MS)), inForce)
  console.log(json ? jsonOf(span, found) : renderCheck(found))
  warnOfLimit(span, found.records)
  if (found.disagreed > 0) return DISAGREED
  return found.undecided.length > 0 ? UNDECIDED : 0
}

/** How long a whole run may take. */
const MOST_MS = 4 * 3_600_000

function jsonOf({ since, until }: Span, found: object): string {
  const at = (ms: number): string => new Date(ms).toISOString()
  return JSON.stringify({ since: at(since), until: at(until), ...found }, null, 2)
}

function warnOfLimit({ limit }: Span, records: number): void {
  if (records >= limit) console.error(`only the newest ${limit} decisions were read; --limit sets another bound`)
}

async function policiesIn(loaded: Loaded, folder: string): Promise<LoadedPolicies> {
  // Named from where the operator stands, not from where the configuration lies.
  const { policies } = await policiesOf({ ...loaded, config: { ...loaded.config, policies: resolve(folder) } })
  return policies
}

/** Sets that are kept once they are loaded. A gateway's life has few of them. */
const MOST_SETS = 200

/** Loads what records say was in force. Only what has the very digest counts. */
async function recordedPolicies(loaded: Loaded, client: ClickHouse): Promise<InForce> {
  const vocabulary = await vocabularyOf(loaded)
  const sets = new Map<string, Promise<LoadedPolicies | undefined>>()
  const load = async (digest: string): Promise<LoadedPolicies | undefined> => {
    const documents = await documentsOf(client, digest, AbortSignal.timeout(60_000))
    const files = Object.entries(documents ?? {}).map(([path, text]): SourceFile => ({ path, text }))
    const policies = files.filter(({ path }) => /\.ya?ml$/.test(path) && !isCasesFile(path))
    const found = await loadPolicies(policies, vocabulary, { expiresInMs: loaded.config.holds.expiresIn })
    return isProblems(found) || found.digest !== digest ? undefined : found
  }
  return (digest) => {
    const known = sets.get(digest)
    if (known !== undefined) return known
    const oldest = sets.size < MOST_SETS ? undefined : sets.keys().next().value
    if (oldest !== undefined) sets.delete(oldest)
    const loading = load(digest)
    sets.set(digest, loading)
    return loading
  }
}

function spanOf(values: {
  readonly since: string
  readonly until?: string
  readonly principal?: string
  readonly connection?: string
  readonly limit: string
}): Span {
  const now = Date.now()
  const { principal, connection } = values
  const limit = Number(values.limit)
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) {
    throw new Refusal(`--limit is \`${values.limit}\`; it may be 1 to ${MOST}`)
  }
  const since = timeOf('--since', values.since, now)
  const until = values.until === undefined ? now : timeOf('--until', values.until, now)
  if (since >= until) throw new Refusal('--since is not before --until')
  return {
    since,
    until,
    limit,
    ...(principal !== undefined && { principal }),
    ...(connection !== undefined && { connection }),
  }
}

/** `7d` ago, or a date. */
function timeOf(option: string, text: string, now: number): number {
  const ago = parseDuration(text)
  if (ago !== undefined) return now - ago
  const at = /^\d{4}-\d\d-\d\d(?:T|$)/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(at)) return at
  throw new Refusal(`${option} is \`${text}\`; it may be a duration such as \`7d\`, or a time such as \`2026-01-31\``)
}
