/** What a command of `sluice` is. One file per group of commands; `cli.ts` lists them. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { Refusal } from '../node.ts'

export interface Command {
  /** The words that call it: `audit verify`. */
  readonly name: string
  /** What stands behind them: `[--since 7d] ID`. */
  readonly takes?: string
  /** One line for whoever asks for help. */
  readonly about: string
  /** The words behind the name; the exit code. Throws a Refusal where the caller has something to mend. */
  run(args: readonly string[]): Promise<number>
}

/** A command line that is not understood: whoever wrote it is shown what there is. */
export class Misused extends Refusal {}

/** Options that every command understands. */
const COMMON = { config: { type: 'string', default: 'sluice.yaml' } } as const

/** The options and the words of a command's arguments. Throws `Misused` where an option is not known. */
export function argumentsOf<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: { ...COMMON, ...options } })
  } catch (cause) {
    throw new Misused(cause instanceof Error ? cause.message : 'the command line is not understood', { cause })
  }
}
