/** What is wrong with a document that an operator wrote, and where. Values never appear: one may be a secret. */

export interface Problem {
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based, in characters. */
  readonly column: number
  /** The key path: `connections.warehouse.location`, `rules[2].when`. Empty for the document itself. */
  readonly key: string
  /** What should stand there, as the end of "expected …". */
  readonly expected: string
  /** What kind of thing stands there; never a text that somebody wrote as a value. */
  readonly got?: string
}

/** Why a set of documents is not accepted: everything that is wrong, not only the first. Never empty. */
export interface Problems {
  readonly problems: readonly Problem[]
}

/** Whether reading documents ended in problems. */
export function isProblems(value: object): value is Problems {
  return 'problems' in value
}

/** `sluice.yaml:12:5 connections.warehouse.location: expected a text, got a number` */
export function renderProblem(problem: Problem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`
  const key = problem.key === '' ? '' : ` ${problem.key}`
  const got = problem.got === undefined ? '' : `, got ${problem.got}`
  return `${place}${key}: expected ${problem.expected}${got}`
}
