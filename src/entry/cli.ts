/** The command line: `sluice <command>`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { plugins } from '../../plugins/index.ts'
import { Workshop } from '../assemble.ts'
import { Failure } from '../failure.ts'
import { newApiKey } from '../identity/api-key.ts'
import {
  isCasesFile,
  isClean,
  isProblems,
  loadPolicies,
  renderProblem,
  runCases,
  type CaseReport,
  type LoadedPolicies,
  type SourceFile,
} from '../policy/index.ts'
import { jsonSchemas } from '../config/schemas.ts'
import { loadConfig, readApiKeys, readOpenApi, readPolicyFiles, Refusal, serve, type Loaded } from './node.ts'
import { createRuntime } from './runtime.ts'

const USAGE = `sluice <command> [--config sluice.yaml]

  serve          serve the configuration until told to stop
  check          check the configuration and the policies; starts nothing, resolves no secret
  policy test    run the policies' cases; name every rule that no case reached
  schemas        write the JSON Schemas for editors into schemas/
  key new        make an API key: the key for its holder, its hash for the configuration
`

const { values, positionals } = readArguments()

const COMMANDS: Readonly<Record<string, () => Promise<number>>> = {
  serve: serveUntilTold,
  check,
  'policy test': policyTest,
  schemas: writeSchemas,
  'key new': keyNew,
}

const command = COMMANDS[positionals.join(' ')]
if (command === undefined || values.help) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  try {
    process.exitCode = await command()
  } catch (error) {
    // What the operator has to mend is said in words; only what is our own mistake shows where.
    console.error(error instanceof Refusal || error instanceof Failure ? messageOf(error) : error)
    process.exit(1)
  }
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'sluice.yaml' },
        'with-parent': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : 'the command line is not understood'}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function serveUntilTold(): Promise<number> {
  const starting = loadConfig(values.config).then(serve)
  // Heard from the first moment on: a signal that comes while the gateway starts is heeded once it has.
  process.on('SIGHUP', () => void starting.then((serving) => serving.reload()).catch(() => {}))
  const told = new Promise<void>((resolve) => {
    process.on('SIGTERM', () => resolve())
    process.on('SIGINT', () => resolve())
    if (values['with-parent']) process.stdin.on('end', resolve).on('error', resolve).resume()
  })
  const serving = await starting
  await told
  await serving.stop()
  process.exit(0)
}

async function check(): Promise<number> {
  const loaded = await loadConfig(values.config)
  const keys = await readApiKeys(loaded)
  const { policies, files } = await policiesOf(loaded)
  const documents = files.filter((file) => !isCasesFile(file.path)).length
  console.log(
    `${values.config}, ${keys.length} API keys and ${documents} policy documents (${policies.rules.length} rules) are in order\n` +
      `policies ${policies.digest}`,
  )
  return 0
}

async function policyTest(): Promise<number> {
  const { policies, files } = await policiesOf(await loadConfig(values.config))
  const report = runCases(
    policies,
    files.filter((file) => isCasesFile(file.path)),
  )
  console.log(renderReport(report))
  return isClean(report) ? 0 : 1
}

async function writeSchemas(): Promise<number> {
  await mkdir('schemas', { recursive: true })
  for (const [name, schema] of Object.entries(jsonSchemas())) {
    const path = resolve('schemas', name)
    await writeFile(path, `${JSON.stringify(schema, null, 2)}\n`)
    console.log(path)
  }
  return 0
}

async function keyNew(): Promise<number> {
  const { key, id, hash } = await newApiKey()
  console.error(
    'give the key to its holder; it is shown this once. The rest is an entry of the file that `apiKeys.file`',
  )
  console.error(
    'of sluice.yaml names, or of the list `apiKeys.list` there; put in its holder and the groups of policies:',
  )
  console.error(`  - { id: ${id}, hash: ${hash}, subject: NAME, groups: [GROUP] }`)
  console.log(key)
  return 0
}

/** The policies, loaded with the vocabulary of the installed plugins. Plugins are made with keys that open nothing. */
async function policiesOf(loaded: Loaded): Promise<{ policies: LoadedPolicies; files: readonly SourceFile[] }> {
  const files = await readPolicyFiles(loaded)
  const runtime = {
    ...createRuntime({ base: loaded.base, level: 'error' }),
    secrets: { read: async () => 'no secret is resolved by a check' },
  }
  const { vocabulary } = await Workshop.open(loaded.config, {
    plugins,
    runtime,
    readOpenApi: (path) => readOpenApi(resolve(loaded.base, path)),
  })
  const defaults = { expiresInMs: loaded.config.holds.expiresIn }
  const documents = files.filter((file) => !isCasesFile(file.path))
  const policies = await loadPolicies(documents, vocabulary, defaults)
  if (isProblems(policies)) throw new Refusal(policies.problems.map(renderProblem).join('\n'))
  return { policies, files }
}

/** Each failing case with what it expected and got, each rule that no case reached, and the count. */
function renderReport({ cases, failures, unreached, problems }: CaseReport): string {
  return [
    ...problems.map(renderProblem),
    ...failures.map(
      ({ file, line, name, expected, got }) =>
        `${file}:${line} ${name}\n  expected ${JSON.stringify(expected)}\n  got      ${JSON.stringify(got)}`,
    ),
    ...unreached.map((rule) => `no case reached the rule ${rule}`),
    `${cases - failures.length} passed, ${failures.length} failed, ${unreached.length} rules unreached`,
  ].join('\n')
}

function messageOf(error: Error): string {
  const fix = error instanceof Failure ? error.detail.fix : undefined
  return fix === undefined ? error.message : `${error.message}\n${fix}`
}
