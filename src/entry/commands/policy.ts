/** `sluice check` and `sluice policy …`. */
import { isCasesFile, isClean, renderProblem, runCases, type CaseReport } from '../../policy/index.ts'
import { loadConfig, readApiKeys } from '../node.ts'
import { argumentsOf, type Command } from './command.ts'
import { policiesOf } from './policies.ts'

export const check: Command = {
  name: 'check',
  about: 'check the configuration and the policies; starts nothing, resolves no secret',
  async run(args) {
    const { config: path } = argumentsOf(args, {}).values
    const loaded = await loadConfig(path)
    const keys = await readApiKeys(loaded)
    const { policies, files } = await policiesOf(loaded)
    const documents = files.filter((file) => !isCasesFile(file.path)).length
    console.log(
      `${path}, ${keys.length} API keys and ${documents} policy documents (${policies.rules.length} rules) are in order\n` +
        `policies ${policies.digest}`,
    )
    return 0
  },
}

export const policyTest: Command = {
  name: 'policy test',
  about: "run the policies' cases; name every rule that no case reached",
  async run(args) {
    const { policies, files } = await policiesOf(await loadConfig(argumentsOf(args, {}).values.config))
    const report = runCases(
      policies,
      files.filter((file) => isCasesFile(file.path)),
    )
    console.log(renderReport(report))
    return isClean(report) ? 0 : 1
  },
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
