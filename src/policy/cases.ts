/** Cases beside the policies: what is given, which decision is expected, and which rules no case reached. */
import type {
  Bounds,
  Column,
  Decision,
  Fact,
  Finding,
  HttpStatement,
  Inspected,
  SqlStatement,
  Table,
} from '../exchange.ts'
import { check, nearest, readYaml, type Path, type YamlDocument } from './document.ts'
import type { LoadedPolicies, SourceFile } from './load.ts'
import type { Problem } from './problem.ts'
import { casesSchema, type Case } from './schema.ts'

export interface CaseReport {
  readonly cases: number
  readonly failures: readonly CaseFailure[]
  /** Codes of rules that took part in no case. */
  readonly unreached: readonly string[]
  /** What is wrong with the files themselves. */
  readonly problems: readonly Problem[]
}

export interface CaseFailure {
  readonly file: string
  /** 1-based line of the case. */
  readonly line: number
  readonly name: string
  readonly expected: Outcome
  readonly got: Outcome
}

/** What a case compares: codes and names, sorted. Parts that a case does not expect are left out of both sides. */
export interface Outcome {
  readonly effect: Decision['effect']
  readonly reasons: readonly string[]
  readonly obligations?: readonly string[]
  readonly approvers?: readonly string[]
}

/** Whether everything is as it should be: no problem, no failure, no rule left out. */
export function isClean(report: CaseReport): boolean {
  return report.problems.length === 0 && report.failures.length === 0 && report.unreached.length === 0
}

/** Runs every case of every file against the set. Never throws on any text. */
export function runCases(policies: LoadedPolicies, files: readonly SourceFile[]): CaseReport {
  const problems: Problem[] = []
  const failures: CaseFailure[] = []
  const reached = new Set<string>()
  let count = 0
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const document = readYaml(file.path, file.text)
    if (!('file' in document)) {
      problems.push(...document)
      continue
    }
    const checked = check(document, casesSchema)
    if (!('value' in checked)) {
      problems.push(...checked)
      continue
    }
    for (const [index, each] of checked.value.entries()) {
      count += 1
      const findings = findingsOf(policies, document, [index, 'given', 'facts'], each)
      if ('problem' in findings) {
        problems.push(findings.problem)
        continue
      }
      const { decision, matched } = policies.explain(exchangeOf(each, findings.findings))
      for (const code of matched) reached.add(code)
      const expected = expectedOf(each)
      const got = outcomeOf(decision, each)
      if (JSON.stringify(expected) === JSON.stringify(got)) continue
      failures.push({ file: file.path, line: document.problem([index], '').line, name: each.name, expected, got })
    }
  }
  return { cases: count, failures, unreached: policies.rules.filter((code) => !reached.has(code)), problems }
}

function expectedOf({ expect }: Case): Outcome {
  return {
    effect: expect.effect,
    reasons: expect.reasons.toSorted(),
    ...(expect.obligations === undefined ? {} : { obligations: expect.obligations.toSorted() }),
    ...(expect.approvers === undefined ? {} : { approvers: expect.approvers.toSorted() }),
  }
}

function outcomeOf(decision: Decision, { expect }: Case): Outcome {
  const obligations = decision.effect === 'deny' ? [] : decision.obligations.map((obligation) => obligation.name)
  const approvers = decision.effect === 'hold' ? decision.approvers.flatMap((entry) => entry.groups) : []
  return {
    effect: decision.effect,
    reasons: decision.reasons.map((reason) => reason.code).toSorted(),
    ...(expect.obligations === undefined ? {} : { obligations: obligations.toSorted() }),
    ...(expect.approvers === undefined ? {} : { approvers: approvers.toSorted() }),
  }
}

/** The case's facts as the findings of the plugins that declare them; `estimate` is the engine's own. */
function findingsOf(
  { vocabulary }: LoadedPolicies,
  document: YamlDocument,
  path: Path,
  { given }: Case,
): { readonly findings: readonly Finding[] } | { readonly problem: Problem } {
  const findings: Finding[] = []
  const declared = new Set(['estimate'])
  for (const plugin of Object.values(vocabulary.plugins)) {
    for (const variable of Object.keys(plugin.facts ?? {})) declared.add(variable)
  }
  for (const [variable, fields] of Object.entries(given.facts)) {
    if (variable === 'estimate') {
      if (isEstimate(fields)) continue
      return { problem: document.problem([...path, variable], '`bytes` with a number, and nothing else') }
    }
    const plugin = Object.entries(vocabulary.plugins).find(([, it]) => Object.hasOwn(it.facts ?? {}, variable))
    if (plugin === undefined) {
      const near = nearest(variable, [...declared])
      const hint = near === undefined ? '' : ` (did you mean \`${near}\`?)`
      return { problem: document.problem([...path, variable], `a fact that a plugin declares${hint}`) }
    }
    const fieldsOfPlugin = plugin[1].facts?.[variable] ?? {}
    const unknown = Object.keys(fields).find((field) => !Object.hasOwn(fieldsOfPlugin, field))
    if (unknown !== undefined) {
      const names = Object.keys(fieldsOfPlugin).map((field) => `\`${field}\``)
      return { problem: document.problem([...path, variable, unknown], `one of ${names.join(', ')}`) }
    }
    findings.push({ kind: `${plugin[0]}/case`, facts: { [variable]: fields } })
  }
  return { findings }
}

function isEstimate(fields: Readonly<Record<string, Fact>>): fields is { readonly bytes: number } {
  return Object.keys(fields).length === 1 && typeof fields['bytes'] === 'number'
}

/** An exchange that is as little as a case says. The clock of cases stands at 0. */
function exchangeOf({ given }: Case, findings: readonly Finding[]): Inspected {
  const statement = given.http === undefined ? sqlOf(given) : httpOf(given, given.http)
  return {
    id: '00000000-0000-7000-8000-000000000000',
    receivedAt: 0,
    surface: given.http === undefined ? 'query' : 'proxy',
    principal: { plane: 'agents', ...given.principal },
    connection: given.connection,
    ...(given.purpose === undefined ? {} : { purpose: given.purpose }),
    statement,
    findings,
  }
}

function httpOf({ uses }: Case['given'], http: NonNullable<Case['given']['http']>): HttpStatement {
  const { method, operation, template, path, query, headers, body } = http
  const content = JSON.stringify(body)
  return {
    language: 'http',
    kind: method,
    text: `${method} ${template}`,
    uses,
    operation,
    template,
    target: template,
    path,
    query: Object.entries(query).flatMap(([name, values]) => values.map((value) => [name, value] as const)),
    headers: Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const),
    ...(body !== undefined && { body: { type: 'application/json', length: content.length, content: '', json: body } }),
    bounds: NO_BOUNDS,
    masks: [],
  }
}

const NO_BOUNDS: Bounds = { maxRows: 0, timeoutMs: 0, maxBytesBilled: 0 }

function sqlOf(given: Case['given']): SqlStatement {
  const bytes = given.facts['estimate']?.['bytes']
  const named = given.tables.length > 0 ? given.tables : given.uses.map((use) => use.resource)
  const tables = tagged([...new Set(named)].map(tableOf), given.tags)
  return {
    language: 'googlesql',
    kind: given.kind,
    text: '',
    uses: given.uses,
    tables,
    references: [],
    views: [],
    columnsRead: [...new Set([...given.columns, ...Object.values(given.tags).flat()])].sort(),
    output: [],
    parameters: [],
    functions: given.functions,
    features: given.features.map((name) => ({ name })),
    bounds: NO_BOUNDS,
    masks: [],
    ...(typeof bytes === 'number' ? { estimate: { bytes, kind: given.kind, tables: [], output: [] } } : {}),
  }
}

/** The tables, each column of `tags` with its tags in its own; the table of one that none of them has is added. */
function tagged(tables: readonly Table[], tags: Case['given']['tags']): readonly Table[] {
  const known = [...tables]
  const columns = [...new Set(Object.values(tags).flat())]
  for (const column of columns) {
    if (known.some(({ resource }) => column.startsWith(`${resource}.`))) continue
    known.push(tableOf(column.split('.').slice(0, -1).join('.')))
  }
  return known.map((table) => {
    const own = columns.filter((column) => column.startsWith(`${table.resource}.`))
    return { ...table, columns: columnsOf(table.resource, own, tags) }
  })
}

function columnsOf(resource: string, names: readonly string[], tags: Case['given']['tags']): Column[] {
  const columns = new Map<string, Record<string, readonly string[]>>()
  for (const full of names) {
    const [first = '', ...path] = full.slice(resource.length + 1).split('.')
    const its = Object.keys(tags).filter((tag) => tags[tag]?.includes(full))
    columns.set(first, { ...columns.get(first), [path.join('.')]: its.sort() })
  }
  return [...columns].map(([name, { '': own = [], ...fieldTags }]) => {
    return { name, type: { kind: 'STRING' }, nullable: true, tags: own, fieldTags }
  })
}

function tableOf(resource: string): Table {
  const parts = resource.split('.')
  return {
    path: { project: parts.at(-3) ?? '', dataset: parts.at(-2) ?? '', table: parts.at(-1) ?? '' },
    resource,
    kind: 'TABLE',
    columns: [],
    version: '',
  }
}
