/** What auditors ask, as they would write it over the views. */
import { NEEDLE, TABLE } from './audit-generate.ts'

export interface AuditorQuestion {
  readonly name: string
  readonly sql: string
}

/** Of a database as `loadAudit` fills it; `exchange` is one that was answered, `principal` asks a lot. */
export function auditorQuestions(about: {
  readonly exchange: string
  readonly principal: string
  /** When the newest record is from, UTC, as ClickHouse writes it. */
  readonly now: string
}): readonly AuditorQuestion[] {
  const { exchange, principal } = about
  const now = `toDateTime64('${about.now}', 6, 'UTC')`
  return [
    {
      name: 'last day by principal',
      sql: `SELECT principal, count() AS asked, countIf(effect = 'deny') AS denied, countIf(effect = 'hold') AS held
        FROM decisions WHERE decided_at >= ${now} - INTERVAL 1 DAY GROUP BY principal ORDER BY asked DESC`,
    },
    {
      name: 'last day by principal, with how each ended',
      sql: `SELECT principal, outcome, count() AS asked, sum(row_count) AS answered
        FROM exchanges WHERE asked_at >= ${now} - INTERVAL 1 DAY GROUP BY principal, outcome ORDER BY asked DESC`,
    },
    {
      name: 'everything of one principal in the last day',
      sql: `SELECT exchange_id, asked_at, statement, outcome FROM exchanges
        WHERE asked_at >= ${now} - INTERVAL 1 DAY AND principal = '${principal}' ORDER BY asked_at DESC LIMIT 200`,
    },
    {
      name: 'who touched a table, ever',
      sql: `SELECT principal, count() AS times, max(decided_at) AS latest
        FROM decisions WHERE has(tables, '${TABLE}') GROUP BY principal ORDER BY times DESC`,
    },
    {
      name: 'who touched a table, last 7 days, from `resources`',
      sql: `SELECT principal, action, count() AS times, max(at) AS latest FROM resources
        WHERE at >= ${now} - INTERVAL 7 DAY AND resource = '${TABLE}' GROUP BY principal, action ORDER BY times DESC`,
    },
    {
      name: 'masked columns by principal, last day',
      sql: `SELECT principal, table, column, strategy, count() AS answers
        FROM masked_columns WHERE at >= ${now} - INTERVAL 1 DAY GROUP BY ALL ORDER BY answers DESC LIMIT 1000`,
    },
    {
      name: 'masked columns of one principal, last 30 days',
      sql: `SELECT table, column, strategy, count() AS answers FROM masked_columns
        WHERE at >= ${now} - INTERVAL 30 DAY AND principal = '${principal}' GROUP BY ALL ORDER BY answers DESC`,
    },
    {
      name: 'approvals of a month, by approver',
      sql: `SELECT principal, state, count() AS times FROM approvals
        WHERE at >= ${now} - INTERVAL 30 DAY GROUP BY principal, state ORDER BY times DESC`,
    },
    {
      name: 'approvals of a month, the newest 1,000 with their words',
      sql: `SELECT at, principal, state, comment, exchange_id FROM approvals
        WHERE at >= ${now} - INTERVAL 30 DAY ORDER BY at DESC LIMIT 1000`,
    },
    {
      name: 'a word in any statement, ever',
      sql: `SELECT decided_at, principal, statement FROM decisions
        WHERE hasToken(statement, '${NEEDLE}') ORDER BY decided_at DESC LIMIT 100`,
    },
    {
      name: 'a word that is nowhere',
      sql: `SELECT decided_at, principal, statement FROM decisions WHERE hasToken(statement, 'xyzzy') LIMIT 100`,
    },
    {
      name: 'one exchange, every record of it',
      sql: `SELECT * FROM events WHERE exchange_id = '${exchange}' ORDER BY ts, writer_seq`,
    },
    { name: 'one exchange, in a line', sql: `SELECT * FROM exchanges WHERE exchange_id = '${exchange}'` },
  ]
}
