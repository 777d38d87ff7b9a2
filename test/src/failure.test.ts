import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { asFailure, Failure, FAILURES } from '../../src/failure.ts'
import { problemOf } from '../../routes/problem.ts'

const documented = [
  ...readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8').matchAll(
    /^\| `([a-z-]+)` \| (\d{3}) \|/gm,
  ),
].map(([, code, status]) => [code, Number(status)])

describe('failures', () => {
  it('are documented, each with its status, and no others', () => {
    const table = Object.entries(FAILURES).map(([code, { status }]) => [code, status])
    expect(documented.toSorted()).toEqual(table.toSorted())
  })

  it('keep their cause out of the answer', () => {
    const failure = new Failure('upstream-failed', 'the warehouse did not answer', {
      cause: new Error('password=hunter2'),
    })
    const problem = problemOf(failure, 'id-1')
    expect(problem).toEqual({
      type: 'urn:sluice:problem:upstream-failed',
      title: 'the upstream failed',
      status: 502,
      detail: 'the warehouse did not answer',
      code: 'upstream-failed',
      exchange: 'id-1',
      reasons: [],
    })
  })

  it('say nothing of what was not thrown on purpose', () => {
    const problem = problemOf(asFailure(new TypeError('row 7 has ssn 123-45-6789')), 'id-1')
    expect(problem).toMatchObject({ code: 'internal', detail: 'the gateway failed' })
    expect(JSON.stringify(problem)).not.toContain('123-45-6789')
  })
})
