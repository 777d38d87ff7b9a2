/**
 * The real ZetaSQL, as a service in its own process: Google's analyzer of late 2023, so without pipe syntax. It is native and
 * large, so it is installed apart (`npm ci --prefix oracle`), and the little that we use of it is typed here by hand.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'

/** What ZetaSQL says of a text. */
export type Answer =
  | { readonly is: 'read'; readonly tables: readonly string[]; readonly kind: string | undefined }
  | { readonly is: 'refused'; readonly message: string }
  /** The service died of it, twice, or did not answer in time. */
  | { readonly is: 'crashed' }

type Reply<T> = (error: (Error & { readonly code: number }) | null, answer: T) => void

interface Api {
  extractTableNamesFromStatement(
    request: object,
    options: { readonly deadline: number },
    reply: Reply<{ readonly tableName: readonly { readonly tableNameSegment: readonly string[] }[] }>,
  ): void
  parse(
    request: object,
    options: { readonly deadline: number },
    reply: Reply<{ readonly parsedStatement: object }>,
  ): void
  analyze(
    request: object,
    options: { readonly deadline: number },
    reply: Reply<{ readonly resolvedStatement: Readonly<Record<string, unknown>> }>,
  ): void
  close(): void
}

interface Package {
  readonly ZetaSQLClient: {
    API: Api
    init(port: number): void
    getInstance(): {
      testConnection(): Promise<boolean>
      getLanguageOptions(request: object): Promise<Readonly<Record<string, unknown>>>
      registerCatalog(request: object): Promise<{ readonly registeredId: unknown }>
    }
  }
}

/** What ZetaSQL makes of a statement over a catalog. */
export type Analysis =
  | { readonly is: 'read'; readonly statement: Readonly<Record<string, unknown>> }
  | { readonly is: 'refused'; readonly message: string }
  | { readonly is: 'crashed' }

/** gRPC's numbers. */
const INVALID_ARGUMENT = 3
const DEADLINE_MS = 20_000

/** BigQuery's mode of the product, and every feature and kind of statement that the grammar has. */
const EXTERNAL = 1

/** One service, started anew whenever it dies. */
export class ZetaSql {
  /** How often it died or hung. */
  crashes = 0
  readonly #package: Package
  readonly #binary: string
  #process: { kill(signal: 'SIGKILL'): boolean } | undefined
  #options: object = {}
  #starting: Promise<void> | undefined
  #generation = 0

  readonly #catalog: ((languageOptions: object) => object) | undefined
  #registeredCatalogId: unknown

  /** `catalog`: a `SimpleCatalogProto`, for whoever wants to `analyze`. */
  constructor(catalog?: (languageOptions: object) => object) {
    this.#catalog = catalog
    const require = createRequire(import.meta.url)
    this.#package = require('@fivetrandevelopers/zetasql') as Package
    this.#binary = join(dirname(require.resolve('@fivetrandevelopers/zetasql')), 'zetasql/remote_server.so')
    // The service would outlive us.
    process.once('exit', () => this.#process?.kill('SIGKILL'))
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  }

  /** Which tables the text names, each once, as dotted lower-case names; and ZetaSQL's kind where it is asked for. */
  async read(sql: string, { withKind = false, script = true } = {}): Promise<Answer> {
    return this.#ask(async () => {
      const tables = await this.#tables(sql, script)
      return { is: 'read', tables, kind: withKind ? await this.#kind(sql) : undefined }
    })
  }

  /** The resolved tree of one statement over the catalog. */
  analyze(sql: string): Promise<Analysis> {
    return this.#ask(async () => ({ is: 'read', statement: await this.#analyze(sql) }))
  }

  async #ask<T>(
    ask: () => Promise<T>,
  ): Promise<T | { readonly is: 'refused'; readonly message: string } | { readonly is: 'crashed' }> {
    for (let attempt = 0; attempt < 2; attempt++) {
      await this.#ready()
      const generation = this.#generation
      try {
        return await ask()
      } catch (error) {
        const { code, message } = error as { readonly code?: number; readonly message: string }
        if (code === INVALID_ARGUMENT) return { is: 'refused', message: message.replace(/^3 INVALID_ARGUMENT: /, '') }
        // Those who waited for the same process find it replaced.
        if (generation === this.#generation) {
          this.crashes++
          this.#restart()
        }
      }
    }
    return { is: 'crashed' }
  }

  stop(): void {
    this.#generation++
    this.#process?.kill('SIGKILL')
    this.#process = undefined
    this.#package.ZetaSQLClient.API?.close()
  }

  #restart(): void {
    this.stop()
    this.#starting = undefined
  }

  #ready(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  async #start(): Promise<void> {
    const port = await freePort()
    this.#process = spawn(this.#binary, ['localhost', String(port)], { stdio: 'ignore' })
    const { ZetaSQLClient } = this.#package
    ZetaSQLClient.init(port)
    const client = ZetaSQLClient.getInstance()
    if (!(await client.testConnection())) throw new Error('ZetaSQL does not start')
    const options = await client.getLanguageOptions({ maximumFeatures: true })
    this.#options = { ...options, supportedStatementKinds: [], productMode: EXTERNAL }
    if (this.#catalog === undefined) return
    const { registeredId } = await client.registerCatalog({ simpleCatalog: this.#catalog(this.#options) })
    this.#registeredCatalogId = registeredId
  }

  #analyze(sqlStatement: string): Promise<Readonly<Record<string, unknown>>> {
    const options = { languageOptions: this.#options, pruneUnusedColumns: true }
    const request = { registeredCatalogId: this.#registeredCatalogId, sqlStatement, options }
    return new Promise((resolve, reject) => {
      this.#package.ZetaSQLClient.API.analyze(request, deadline(), (error, answer) => {
        if (error !== null) reject(error)
        else resolve(answer.resolvedStatement)
      })
    })
  }

  #tables(sqlStatement: string, allowScript: boolean): Promise<readonly string[]> {
    const request = { sqlStatement, options: this.#options, allowScript }
    return new Promise((resolve, reject) => {
      this.#package.ZetaSQLClient.API.extractTableNamesFromStatement(request, deadline(), (error, answer) => {
        if (error !== null) reject(error)
        else resolve([...new Set(answer.tableName.map((name) => name.tableNameSegment.join('.').toLowerCase()))])
      })
    })
  }

  /** The root of the tree: `query` or another. Undefined for a script. */
  #kind(sqlStatement: string): Promise<string | undefined> {
    const request = { sqlStatement, options: this.#options, allowScript: false }
    return new Promise((resolve) => {
      this.#package.ZetaSQLClient.API.parse(request, deadline(), (error, answer) => {
        const name = error === null ? Object.keys(answer.parsedStatement)[0] : undefined
        resolve(name?.replace(/^ast|StatementNode$/g, '').toLowerCase())
      })
    })
  }
}

const deadline = (): { readonly deadline: number } => ({ deadline: Date.now() + DEADLINE_MS })

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
