/**
 * Who may import whom. CONTRIBUTING.md draws the same table; `test/imports.test.ts` holds every file to it, type
 * imports included, and fails on any loop.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** A file's path from the root, and its text. */
export type Sources = ReadonlyMap<string, string>

const GROUND = ['src/exchange.ts', 'src/failure.ts', 'src/runtime.ts', 'src/digest.ts', 'src/bytes.ts', 'src/url.ts']
const FOLDERS = ['identity', 'statement', 'catalog', 'policy', 'connection', 'hold', 'audit']
const CONTRACTS = FOLDERS.map((folder) => `src/${folder}/contract.ts`)
/** Where concrete contracts meet: the journey and the rooms around it. */
const MEETING = [
  'src/gateway.ts',
  'src/asked.ts',
  'src/unknown.ts',
  'src/journey.ts',
  'src/stations/',
  'src/door.ts',
  'src/fulfil.ts',
  'src/inflight.ts',
  'src/once.ts',
  'src/rows.ts',
  'src/second-opinion.ts',
  'src/likely.ts',
  'src/approvals.ts',
  'src/budget.ts',
  'src/auditing.ts',
  'src/auditor.ts',
  'src/exporter.ts',
  'src/directory.ts',
  'src/health.ts',
  'src/history.ts',
  'src/settle.ts',
  'src/documents.ts',
]
/** Pure functions that are shared on purpose. */
const PURE_HOLD = ['src/hold/quorum.ts']
const PURE_STATEMENT = ['src/statement/rewrite.ts', 'src/statement/contract.ts', 'src/statement/names.ts']
const PURE_HTTP = ['src/statement/http/']
const PURE_JSON = ['src/statement/json/', 'src/statement/strategy.ts', 'src/statement/hmac.ts']
const PURE_AUDIT = ['src/audit/entries.ts']
const PURE_POLICY = ['src/policy/recall.ts']

/** Outside packages, each with the one place that may import it. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  hono: ['routes/', 'src/entry/', 'sandbox/', 'test/', 'bench/'],
  '@hono/zod-openapi': ['routes/', 'test/'],
  '@hono/node-server': ['src/entry/', 'sandbox/', 'test/', 'bench/'],
  jose: ['src/identity/', 'src/audit/bodies/', 'sandbox/', 'test/'],
  bq2cst: ['src/statement/', 'src/entry/', 'test/'],
  'node-sql-parser': ['src/statement/', 'test/', 'bench/'],
  '@clickhouse/client': ['src/audit/', 'test/', 'sandbox/', 'bench/'],
  '@google-cloud/bigquery': ['src/connection/', 'test/', 'bench/', 'sandbox/'],
  'google-auth-library': ['src/connection/', 'test/', 'bench/'],
  '@marcbachmann/cel-js': ['src/policy/'],
  yaml: ['src/policy/', 'src/config', 'test/', 'sandbox/'],
  zod: [
    'src/config',
    'src/policy/',
    'src/identity/',
    'src/hold/',
    'src/audit/',
    'src/connection/',
    'src/entry/',
    'routes/',
    'plugins/',
    'test/',
  ],
  'jsonpath-plus': ['plugins/', 'test/'],
  'modern-tar': ['src/audit/', 'test/'],
  '@noble/hashes': ['src/statement/'],
  postgres: ['src/hold/', 'test/'],
  undici: ['src/entry/', 'src/connection/', 'test/', 'bench/'],
}

/** Prefixes of what a file may import from this repository; `undefined`: the table does not know the file. */
function allowed(file: string): readonly string[] | undefined {
  if (GROUND.includes(file)) return []
  if (file === 'src/plugin.ts') return ['src/exchange.ts', 'src/runtime.ts']
  const folder = FOLDERS.find((name) => file.startsWith(`src/${name}/`))
  if (folder !== undefined) return [...GROUND, `src/${folder}/`]
  if (MEETING.some((room) => file === room || (room.endsWith('/') && file.startsWith(room))))
    return [
      ...GROUND,
      'src/plugin.ts',
      ...CONTRACTS,
      ...PURE_AUDIT,
      ...PURE_POLICY,
      ...PURE_HOLD,
      ...PURE_HTTP,
      ...MEETING,
    ]
  if (file.startsWith('src/config'))
    return [...GROUND, 'src/config', 'src/policy/', 'src/identity/options.ts', 'src/connection/rest/options.ts']
  if (file === 'src/assemble.ts') return ['src/', 'plugins/index.ts', '!src/entry/']
  if (file.startsWith('src/entry/')) return ['src/', 'routes/index.ts', 'plugins/index.ts']
  if (file === 'plugins/index.ts') return ['src/plugin.ts', 'plugins/']
  const plugin = /^plugins\/[^/]+\//.exec(file)?.[0]
  if (plugin !== undefined) return ['src/plugin.ts', ...PURE_STATEMENT, ...PURE_JSON, plugin]
  if (file.startsWith('routes/')) {
    return [...GROUND, ...MEETING, ...CONTRACTS, ...PURE_HOLD, 'src/statement/parameters.ts', 'routes/']
  }
  if (file.startsWith('sandbox/')) return ['sandbox/']
  if (
    file.startsWith('test/') ||
    file.startsWith('bench/') ||
    file.startsWith('oracle/') ||
    file === 'vitest.config.ts'
  )
    return ['']
  return undefined
}

/** Each import that the table forbids, and each loop, in words. */
export function violations(sources: Sources): readonly string[] {
  const graph = new Map<string, readonly string[]>()
  const found: string[] = []
  for (const [file, text] of sources) {
    const inside: string[] = []
    const may = allowed(file)
    if (may === undefined) found.push(`${file}: in no row of the import table`)
    for (const specifier of importsOf(text)) {
      if (specifier.startsWith('.')) {
        const target = join(dirname(file), specifier)
        inside.push(target)
        if (may !== undefined && !permits(may, target)) found.push(`${file} imports ${target}`)
      } else if (!permitsPackage(file, specifier)) {
        found.push(`${file} imports the package ${specifier}`)
      }
    }
    graph.set(file, inside)
  }
  return [...found, ...loops(graph)].toSorted()
}

function permits(may: readonly string[], target: string): boolean {
  const forbidden = may.filter((entry) => entry.startsWith('!')).map((entry) => entry.slice(1))
  if (forbidden.some((prefix) => target.startsWith(prefix))) return false
  return may.some((prefix) => !prefix.startsWith('!') && target.startsWith(prefix))
}

/** Node's own modules are for entries, `*.node.ts` adapters, the sandbox, tests and benches. */
function permitsPackage(file: string, specifier: string): boolean {
  if (specifier.startsWith('node:')) {
    return /^(sandbox|test|bench|oracle|src\/entry)\//.test(file) || file.endsWith('.node.ts')
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const places = PACKAGES[name]
  if (places === undefined) return /^(sandbox|test|bench)\//.test(file) || file === 'vitest.config.ts'
  return places.some((place) => file.startsWith(place))
}

/** Module names in import and export declarations and in `import()`. */
export function importsOf(text: string): readonly string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const pattern =
    /^\s*(?:import|export)\s[^'";]*?\sfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...code.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function loops(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at !== -1) {
      found.push(`loop: ${[...path.slice(at), file].join(' → ')}`)
      return
    }
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}

/** Every TypeScript file of the project. */
export function projectSources(root: string): Sources {
  const files = ['src', 'routes', 'plugins', 'sandbox', 'test', 'bench', 'oracle'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  )
  return new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
}
