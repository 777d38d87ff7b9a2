/** Policies, exchanges and a vocabulary of fake plugins for the tests of `src/policy`. */
import { expect } from 'vitest'
import * as z from 'zod'
import type { Estimate, Finding, Inspected, Principal, ResourceUse, SqlStatement } from '../../../src/exchange.ts'
import {
  isProblems,
  loadPolicies,
  renderProblem,
  type LoadedPolicies,
  type Vocabulary,
} from '../../../src/policy/index.ts'
import { sqlStatement } from '../../support/statement.ts'

/** One hour, in milliseconds. */
export const HOUR = 3_600_000

/** 2026-01-02T03:04:05Z */
export const NOW = 1_767_323_045_000

export const vocabulary: Vocabulary = {
  plugins: {
    'sql-risk': {
      options: z.strictObject({ weights: z.record(z.string(), z.number()).default({}) }),
      facts: { risk: { score: 'number', factors: 'list', reversible: 'boolean', level: 'string' } },
    },
    silent: { options: z.strictObject({}) },
  },
  obligations: {
    limits: z.strictObject({ rows: z.int().positive() }),
    'mask-columns': Object.assign(z.strictObject({ columns: z.record(z.string(), z.enum(['hash', 'redact'])) }), {
      guards: true,
    }),
    tagged: z.strictObject({ tag: z.string().default('plain') }),
  },
}

export const AGENT: Principal = {
  issuer: 'corp',
  subject: 'agent-7',
  kind: 'agent',
  plane: 'agents',
  groups: ['analyst-agents'],
}

/** A document for analyst agents on `warehouse` with these rules, as YAML. */
export function analysts(rules: string, name = 'analysts'): string {
  return `policy: ${name}
description: for tests
principals: { groups: [analyst-agents] }
connections: [warehouse]
rules:
${rules.replace(/^\n/, '')}`
}

/** Loads one or several documents that must be right. */
export async function load(...texts: readonly string[]): Promise<LoadedPolicies> {
  const files = texts.map((text, index) => ({ path: `policies/${index}.yaml`, text }))
  const loaded = await loadPolicies(files, vocabulary, { expiresInMs: HOUR })
  if (isProblems(loaded)) throw new Error(loaded.problems.map(renderProblem).join('\n'))
  return loaded
}

/** The problems of documents that must be wrong, as an operator reads them. */
export async function problemsOf(...texts: readonly string[]): Promise<readonly string[]> {
  const files = texts.map((text, index) => ({ path: `policies/${index}.yaml`, text }))
  const loaded = await loadPolicies(files, vocabulary, { expiresInMs: HOUR })
  expect(isProblems(loaded)).toBe(true)
  return isProblems(loaded) ? loaded.problems.map(renderProblem) : []
}

export interface Asking {
  readonly principal?: Partial<Principal>
  readonly connection?: string
  readonly kind?: string
  readonly estimate?: number
  readonly facts?: Finding['facts']
  readonly findings?: readonly Finding[]
  readonly purpose?: string
  readonly statement?: Partial<SqlStatement>
}

/** `read shop.orders` → a use. */
export function use(text: string): ResourceUse {
  const [action, resource] = text.split(' ') as [ResourceUse['action'], string]
  return { action, resource }
}

/** An inspected exchange with these uses: `read shop.orders`. */
export function asking(uses: readonly string[], more: Asking = {}): Inspected {
  const estimate: Estimate | undefined =
    more.estimate === undefined ? undefined : { bytes: more.estimate, kind: 'SELECT', tables: [], output: [] }
  return {
    id: '019b7d5c-0000-7000-8000-000000000001',
    receivedAt: NOW,
    surface: 'query',
    principal: { ...AGENT, ...more.principal },
    connection: more.connection ?? 'warehouse',
    ...(more.purpose === undefined ? {} : { purpose: more.purpose }),
    statement: sqlStatement({
      kind: more.kind ?? 'SELECT',
      uses: uses.map(use),
      ...(estimate === undefined ? {} : { estimate }),
      ...more.statement,
    }),
    findings: more.findings ?? (more.facts === undefined ? [] : [{ kind: 'sql-risk/score', facts: more.facts }]),
  }
}
