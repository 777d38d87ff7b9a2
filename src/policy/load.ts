/** Policy documents → one immutable set, or everything that is wrong with them. */
import type { Inspected, Principal, SqlStatement } from '../exchange.ts'
import { canonicalJson, digestOf } from './canonical.ts'
import { createCompiler, type Condition, type Rejected } from './condition.ts'
import type { PluginOptions, PolicySet } from './contract.ts'
import { decide, denyByName, type CompiledDocument, type CompiledRule, type Explained } from './decide.ts'
import { check, foreignProblems, nearest, readYaml, type Path, type YamlDocument } from './document.ts'
import { columnsRead, compileColumns } from './columns.ts'
import { compileName, compilePatterns } from './pattern.ts'
import type { Problem, Problems } from './problem.ts'
import { policySchema, type PolicyDocument, type Rule } from './schema.ts'
import type { Vocabulary } from './vocabulary.ts'

/** A file as it was read. `path` is how problems name it. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** What a document that says nothing gets. */
export interface PolicyDefaults {
  /** Milliseconds that a hold waits when its rule has no `expiresIn`. */
  readonly expiresInMs: number
}

/** A policy set that can also say which rules took part; cases and `check` use it. */
export interface LoadedPolicies extends PolicySet {
  /** The codes of all rules, in order. */
  readonly rules: readonly string[]
  readonly vocabulary: Vocabulary
  /** `decide`, with the codes of the rules that matched. */
  explain(exchange: Inspected): Explained
}

/** Whether a path is that of a cases file, which `runCases` reads and `loadPolicies` does not. */
export function isCasesFile(path: string): boolean {
  return /\.cases\.ya?ml$/.test(path)
}

interface Compiled extends CompiledDocument {
  readonly plugins: ReadonlyMap<string, PluginOptions>
}

/**
 * Loads documents in the order of their paths. Reads no file: the entry does. Never throws on any text; an unknown
 * plugin, obligation, fact or key, or terms that a plugin refuses, are problems, and one problem refuses the whole set.
 */
export async function loadPolicies(
  files: readonly SourceFile[],
  vocabulary: Vocabulary,
  defaults: PolicyDefaults,
): Promise<LoadedPolicies | Problems> {
  const problems: Problem[] = []
  const compiler = createCompiler(vocabulary)
  if (typeof compiler !== 'function') return { problems: [startProblem('plugins', compiler.rejected)] }
  // Without a document everything is denied; whoever starts like that has named the wrong folder.
  if (files.length === 0) return { problems: [startProblem('policies', 'at least one policy document')] }
  const documents: Compiled[] = []
  const canonical: unknown[] = []
  const names = new Map<string, string>()
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const read = readDocument(file)
    if ('problems' in read) {
      problems.push(...read.problems)
      continue
    }
    const { document, value } = read
    const earlier = names.get(value.policy)
    if (earlier !== undefined) problems.push(document.problem(['policy'], `a name that ${earlier} does not have`))
    names.set(value.policy, file.path)
    documents.push(compileDocument(document, value, { vocabulary, compiler, defaults, problems }))
    canonical.push(withExpiry(value, defaults))
  }
  if (problems.length > 0) return { problems }
  return policySet(documents, vocabulary, await digestOf(canonical))
}

function policySet(documents: readonly Compiled[], vocabulary: Vocabulary, digest: string): LoadedPolicies {
  return {
    digest,
    vocabulary,
    rules: documents.flatMap((document) => document.rules.map((rule) => rule.code)),
    decide: (exchange) => decide(documents, exchange, vocabulary).decision,
    explain: (exchange) => decide(documents, exchange, vocabulary),
    denyByName: (named) => denyByName(documents, named),
    configured: documents.flatMap(({ plugins }) => [...plugins].map(([plugin, options]) => ({ plugin, options }))),
    reaches: (principal, connection) => documents.some((document) => document.applies(principal, connection)),
    pluginOptions(principal, connection) {
      const chosen = new Map<string, PluginOptions>()
      for (const document of documents) {
        if (!document.applies(principal, connection)) continue
        for (const [name, options] of document.plugins) if (!chosen.has(name)) chosen.set(name, options)
      }
      return chosen
    },
  }
}

function startProblem(file: string, expected: string): Problem {
  return { file, line: 1, column: 1, key: '', expected }
}

function readDocument(file: SourceFile): { document: YamlDocument; value: PolicyDocument } | Problems {
  const document = readYaml(file.path, file.text)
  if (!('file' in document)) return { problems: document }
  const checked = check(document, policySchema)
  return 'value' in checked ? { document, value: checked.value } : { problems: checked }
}

/** What decides: the document with the time that its holds really wait. */
function withExpiry(value: PolicyDocument, defaults: PolicyDefaults): unknown {
  const rules = value.rules.map((rule) =>
    rule.effect === 'hold' ? { ...rule, expiresIn: rule.expiresIn ?? defaults.expiresInMs } : rule,
  )
  return { ...value, rules }
}

interface Loading {
  readonly vocabulary: Vocabulary
  readonly compiler: (expression: string) => Condition | Rejected
  readonly defaults: PolicyDefaults
  readonly problems: Problem[]
}

function compileDocument(document: YamlDocument, value: PolicyDocument, loading: Loading): Compiled {
  checkNames(document, value, loading)
  const ids = new Set<string>()
  const rules = value.rules.map((rule, index) => {
    if (ids.has(rule.id))
      loading.problems.push(document.problem(['rules', index, 'id'], 'an id that no other rule has'))
    ids.add(rule.id)
    const compiled = compileRule(document, `${value.policy}/${rule.id}`, rule, ['rules', index], loading)
    for (const { name, term } of compiled.obligations) {
      for (const words of misfits(name, term, compiled, value.connections, loading.vocabulary)) {
        loading.problems.push(document.problem(['rules', index, 'obligations', name], words))
      }
    }
    return compiled
  })
  const plugins = new Map<string, PluginOptions>()
  for (const [name, options] of Object.entries(value.plugins ?? {})) {
    const path = ['plugins', name]
    const known = parseWith(document, path, name, options, loading, {
      what: 'a plugin that is installed',
      parsers: Object.fromEntries(Object.entries(loading.vocabulary.plugins).map(([key, it]) => [key, it.options])),
    })
    if (known !== undefined) plugins.set(name, { key: `${name} ${canonicalJson(options)}`, options: known.parsed })
  }
  return { applies: compileApplies(value), rules, plugins }
}

/** Names of connections and issuers, where the configuration's are known. */
function checkNames(document: YamlDocument, value: PolicyDocument, { vocabulary, problems }: Loading): void {
  const connections = vocabulary.connections && [...vocabulary.connections, '*']
  const issuers = vocabulary.issuers && [...vocabulary.issuers, 'keys']
  const demand = (what: string, name: string, known: readonly string[] | undefined, path: Path): void => {
    if (known === undefined || known.includes(name)) return
    const near = nearest(name, known)
    problems.push(document.problem(path, near === undefined ? what : `${what} (did you mean \`${near}\`?)`))
  }
  for (const [index, name] of value.connections.entries()) {
    demand('a connection of the configuration', name, connections, ['connections', index])
  }
  for (const [index, name] of (value.principals.issuers ?? []).entries()) {
    demand('an issuer of the configuration', name, issuers, ['principals', 'issuers', index])
  }
  for (const [index, entry] of (value.principals.subjects ?? []).entries()) {
    const colon = entry.indexOf(':')
    if (colon < 0) continue
    demand('an issuer of the configuration', entry.slice(0, colon), issuers, ['principals', 'subjects', index])
  }
}

function compileApplies(value: PolicyDocument): Compiled['applies'] {
  const { groups, subjects, issuers, kinds } = value.principals
  const everywhere = value.connections.includes('*')
  return (principal: Principal, connection: string) =>
    (everywhere || value.connections.includes(connection)) &&
    (groups === undefined || principal.groups.some((group) => groups.includes(group))) &&
    (subjects === undefined || subjects.some((entry) => isSubject(entry, principal))) &&
    (issuers === undefined || issuers.includes(principal.issuer)) &&
    (kinds === undefined || kinds.includes(principal.kind))
}

/** An entry with a colon names its issuer too, so that no other issuer can mint a subject that reads like it. */
function isSubject(entry: string, principal: Principal): boolean {
  return entry.includes(':') ? entry === `${principal.issuer}:${principal.subject}` : entry === principal.subject
}

function compileRule(document: YamlDocument, code: string, rule: Rule, path: Path, loading: Loading): CompiledRule {
  const { actions, statements } = rule
  const kinds = statements?.map(compileName)
  const condition = compileCondition(document, rule, path, loading)
  const narrowed = compileNarrowed(rule)
  return {
    code,
    effect: rule.effect,
    because: rule.because,
    ...(rule.fix === undefined ? {} : { fix: rule.fix }),
    matchesKind: (kind) => kinds === undefined || kinds.some((regex) => regex.test(kind)),
    matchesAction: (action) => actions === undefined || actions.includes(action),
    ...(rule.resources === undefined ? {} : { resources: compilePatterns(rule.resources) }),
    ...(narrowed === undefined ? {} : { narrowed }),
    ...(condition === undefined ? {} : { condition }),
    obligations: rule.effect === 'deny' ? [] : compileObligations(document, rule.obligations ?? {}, path, loading),
    approvers: rule.effect === 'hold' ? rule.approvers : [],
    expiresInMs: rule.effect === 'hold' ? (rule.expiresIn ?? loading.defaults.expiresInMs) : 0,
  }
}

/** Every one of `functions`, `tags` and `columns` that the rule has must be met; the most telling of them is the place. */
function compileNarrowed({ functions, tags, columns }: Rule): CompiledRule['narrowed'] {
  if (functions === undefined && tags === undefined && columns === undefined) return undefined
  const named = functions && compilePatterns(functions)
  const isNamed = columns && compileColumns(columns)
  return (statement) => {
    const calls = [...statement.functions, ...executed(statement)]
    const call = named && calls.find((name) => named.touches(name))
    if (named !== undefined && call === undefined) return undefined
    if (tags === undefined && isNamed === undefined) return call
    // One and the same column must have the name and the tag.
    const column = columnsRead(statement).find(
      (each) => (isNamed?.(each) ?? true) && (tags === undefined || each.tags.some((tag) => tags.includes(tag))),
    )
    return column?.name
  }
}

/** Table functions, models and routines are uses, too. */
function executed({ uses }: SqlStatement): readonly string[] {
  return uses.filter(({ action }) => action === 'execute').map(({ resource }) => resource)
}

function compileCondition(document: YamlDocument, rule: Rule, path: Path, loading: Loading): Condition | undefined {
  if (rule.when === undefined) return undefined
  const compiled = loading.compiler(rule.when)
  if (typeof compiled === 'function') return compiled
  loading.problems.push(document.problem([...path, 'when'], compiled.rejected))
  return () => 'failed'
}

function compileObligations(
  document: YamlDocument,
  obligations: Readonly<Record<string, unknown>>,
  path: Path,
  loading: Loading,
): CompiledRule['obligations'] {
  return Object.entries(obligations).flatMap(([name, terms]) => {
    const at = [...path, 'obligations', name]
    const parsers = loading.vocabulary.obligations
    const known = parseWith(document, at, name, terms, loading, {
      what: 'an obligation that a plugin fulfils',
      parsers,
    })
    const guards = Object.hasOwn(parsers, name) && parsers[name]?.guards === true
    return known === undefined ? [] : [{ name, term: known.parsed, ...(guards && { guards }) }]
  })
}

/** What of an obligation's terms has no place in any answer that its rule is about, on some connection. */
function misfits(
  name: string,
  term: unknown,
  { resources }: CompiledRule,
  connections: readonly string[],
  vocabulary: Vocabulary,
): readonly string[] {
  const obligation = vocabulary.obligations[name]
  if (obligation?.misfits === undefined) return []
  return connections.flatMap((connection) => {
    const answers = vocabulary.answersOf?.(connection, (resource) => resources?.touches(resource) ?? true)
    return answers === undefined ? [] : (obligation.misfits?.(term, answers) ?? [])
  })
}

/** Parses `input` as the plugin that provides `name` wants it, or notes the problem. */
function parseWith(
  document: YamlDocument,
  path: Path,
  name: string,
  input: unknown,
  loading: Loading,
  known: { readonly what: string; readonly parsers: Readonly<Record<string, { parse(input: unknown): unknown }>> },
): { readonly parsed: unknown } | undefined {
  const parser = Object.hasOwn(known.parsers, name) ? known.parsers[name] : undefined
  if (parser === undefined) {
    const near = nearest(name, Object.keys(known.parsers))
    const hint = near === undefined ? '' : ` (did you mean \`${near}\`?)`
    loading.problems.push(document.problem(path, `${known.what}${hint}`))
    return undefined
  }
  try {
    return { parsed: parser.parse(input) }
  } catch (error) {
    loading.problems.push(...foreignProblems(document, path, error))
    return undefined
  }
}
