/** The command line: `sluice <command>`. */
import { Failure } from '../failure.ts'
import { auditDdl, auditSchema } from './commands/audit-ddl.ts'
import { auditDigest, auditorKeyNew, auditUnseal } from './commands/audit-digest.ts'
import { auditExport } from './commands/audit-export.ts'
import { auditHoldAdd, auditHoldList, auditHoldRelease } from './commands/audit-hold.ts'
import { Misused, type Command } from './commands/command.ts'
import { newAuditKey, showAuditKey } from './commands/audit-keys.ts'
import { auditProve, auditVerify } from './commands/audit-verify.ts'
import { newKey, schemas } from './commands/make.ts'
import { policySimulate } from './commands/policy-simulate.ts'
import { check, policyTest } from './commands/policy.ts'
import { replay } from './commands/replay.ts'
import { replayExecute } from './commands/replay-execute.ts'
import { serveUntilTold } from './commands/serve.ts'
import { Refusal } from './node.ts'

const COMMANDS: readonly Command[] = [
  serveUntilTold,
  check,
  policyTest,
  policySimulate,
  replayExecute,
  replay,
  schemas,
  newKey,
  newAuditKey,
  showAuditKey,
  auditVerify,
  auditProve,
  auditExport,
  auditHoldAdd,
  auditHoldList,
  auditHoldRelease,
  auditDdl,
  auditSchema,
  auditDigest,
  auditUnseal,
  auditorKeyNew,
]

const args = process.argv.slice(2)
const called = COMMANDS.map((command) => {
  const parts = command.name.split(' ')
  // An option that is part of a name may stand anywhere, and the command sees it.
  const options = parts.filter((part) => part.startsWith('--'))
  return { command, options, words: parts.filter((part) => !part.startsWith('--')) }
}).find(
  ({ words, options }) =>
    words.every((word, i) => args[i] === word) && options.every((option) => args.includes(option)),
)
if (called === undefined || args.includes('--help') || args.includes('-h')) {
  console.error(usage())
  process.exitCode = args.includes('--help') || args.includes('-h') ? 0 : 2
} else {
  try {
    process.exitCode = await called.command.run(args.slice(called.words.length))
  } catch (error) {
    // What the operator has to mend is said in words; only what is our own mistake shows where.
    console.error(error instanceof Refusal || error instanceof Failure ? messageOf(error) : error)
    if (error instanceof Misused) console.error(`\n${usage()}`)
    process.exit(error instanceof Misused ? 2 : 1)
  }
}

function usage(): string {
  const lines = COMMANDS.map(
    ({ name, takes, about }) => [takes === undefined ? name : `${name} ${takes}`, about] as const,
  )
  const width = Math.max(...lines.map(([call]) => call.length))
  return [
    'sluice <command> [--config sluice.yaml]',
    '',
    ...lines.map(([call, about]) => `  ${call.padEnd(width)}  ${about}`),
  ].join('\n')
}

function messageOf(error: Error): string {
  const fix = error instanceof Failure ? error.detail.fix : undefined
  return fix === undefined ? error.message : `${error.message}\n${fix}`
}
