/** The policies of a configuration, for commands: loaded as the gateway would, with no secret resolved. */
import { resolve } from 'node:path'
import { plugins } from '../../../plugins/index.ts'
import { Workshop } from '../../assemble.ts'
import {
  isCasesFile,
  isProblems,
  loadPolicies,
  renderProblem,
  type LoadedPolicies,
  type SourceFile,
  type Vocabulary,
} from '../../policy/index.ts'
import { readOpenApi, readPolicyFiles, Refusal, type Loaded } from '../node.ts'
import { createRuntime } from '../runtime.ts'

/** The policies, loaded with the vocabulary of the installed plugins. */
export async function policiesOf(loaded: Loaded): Promise<{ policies: LoadedPolicies; files: readonly SourceFile[] }> {
  const files = await readPolicyFiles(loaded)
  const documents = files.filter((file) => !isCasesFile(file.path))
  const policies = await loadPolicies(documents, await vocabularyOf(loaded), {
    expiresInMs: loaded.config.holds.expiresIn,
  })
  if (isProblems(policies)) throw new Refusal(policies.problems.map(renderProblem).join('\n'))
  return { policies, files }
}

/** What policies of this configuration may name. Plugins are made with keys that open nothing. */
export async function vocabularyOf({ config, base }: Loaded): Promise<Vocabulary> {
  const runtime = {
    ...createRuntime({ base, level: 'error' }),
    secrets: { read: async () => 'no secret is resolved by a check' },
  }
  const workshop = await Workshop.open(config, {
    plugins,
    runtime,
    readOpenApi: (path) => readOpenApi(resolve(base, path)),
  })
  return workshop.vocabulary
}
