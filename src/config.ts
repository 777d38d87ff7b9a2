/**
 * The configuration: one `sluice.yaml`, parsed once, whole, at the start. An unknown key is an error, every number has
 * bounds, and every secret is a reference. In `Config` every duration is in milliseconds and every size in bytes.
 */
import * as z from 'zod'
import { apiKeyList, configSchema, type apiKey } from './config/schema.ts'
import type { Env } from './config/values.ts'
import { check, foreignProblems, nearest, readYaml, type YamlDocument } from './policy/document.ts'
import type { Problem, Problems } from './policy/problem.ts'

export { DEFAULTS } from './config/schema.ts'
export type { Env, SecretReference } from './config/values.ts'
export { isProblems, renderProblem, type Problem, type Problems } from './policy/problem.ts'

/** The whole configuration, checked, with defaults. Durations are milliseconds, sizes bytes. */
export type Config = z.output<ReturnType<typeof configSchema>>

/** One configured connection. */
export type ConnectionConfig = Config['connections'][string]
export type BigQueryConfig = Extract<ConnectionConfig, { type: 'bigquery' }>
export type RestConfig = Extract<ConnectionConfig, { type: 'rest' }>

/** The installed plugins by name; their options are checked where they stand. */
export type PluginParsers = Readonly<Record<string, { readonly options: { parse(input: unknown): unknown } }>>

/**
 * Parses the configuration. `env:NAME` and `env:NAME:-default` are resolved through `env` everywhere but in secrets and
 * in `plugins`, which stay as they are written. Never throws on any text.
 */
export function parseConfig(text: string, path: string, env: Env, plugins?: PluginParsers): Config | Problems {
  const document = readYaml(path, text)
  if (!('file' in document)) return { problems: document }
  const checked = check(document, configSchema(env))
  const problems = plugins === undefined ? [] : pluginProblems(document, plugins)
  if (!('value' in checked)) return { problems: [...checked, ...problems] }
  return problems.length > 0 ? { problems } : checked.value
}

function pluginProblems(document: YamlDocument, plugins: PluginParsers): readonly Problem[] {
  const shape = z.object({ plugins: z.record(z.string(), z.unknown()).default({}) }).safeParse(document.value)
  return Object.entries(shape.data?.plugins ?? {}).flatMap(([name, input]) => {
    const plugin = Object.hasOwn(plugins, name) ? plugins[name] : undefined
    if (plugin === undefined) {
      const near = nearest(name, Object.keys(plugins))
      const hint = near === undefined ? '' : ` (did you mean \`${near}\`?)`
      return [document.problem(['plugins', name], `a plugin that is installed${hint}`)]
    }
    try {
      plugin.options.parse(input)
      return []
    } catch (error) {
      return foreignProblems(document, ['plugins', name], error)
    }
  })
}

/** A document of others, JSON or YAML, as plain values. */
export function parseForeign(text: string, path: string): unknown {
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      return {
        problems: [{ file: path, line: 1, column: 1, key: '', expected: 'well-formed JSON' }],
      } satisfies Problems
    }
  }
  const document = readYaml(path, text)
  return 'file' in document ? document.value : ({ problems: document } satisfies Problems)
}

/** An API key, checked. */
export type ApiKeyConfig = z.output<typeof apiKey>

/** Parses the file that `apiKeys.file` names: a list of keys. */
export function parseApiKeys(text: string, path: string): readonly ApiKeyConfig[] | Problems {
  const document = readYaml(path, text)
  if (!('file' in document)) return { problems: document }
  const checked = check(document, apiKeyList)
  return 'value' in checked ? checked.value : { problems: checked }
}
