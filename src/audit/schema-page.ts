/** The page of every table, view and column, from what makes them. Pure. */
import { PAYLOAD_COLUMNS } from './payload.ts'
import { COLUMNS } from './record.ts'
import { CHECKPOINT_COLUMNS, LEGAL_HOLD_COLUMNS, NEWEST, SEGMENT_COLUMNS } from './schema.ts'
import { shownType, VIEWS } from './views.ts'

type Described = readonly [name: string, type: string, comment: string]

/** Marks where the page's generated part begins: what is above it is written by hand. */
export const GENERATED = '<!-- From here on: `sluice audit schema`. Do not edit. -->'

/** Markdown: the views first, for they are what auditors ask. */
export function schemaPage(): string {
  const views = VIEWS.map(({ name, comment, columns }) =>
    section(
      `\`${name}\``,
      comment,
      columns.map((column) => [column[0], plain(shownType(column)), column[2]] as const),
    ),
  )
  const tables: readonly string[] = [
    section(
      '`events`',
      'every audit record as it was written; the views are made of it',
      COLUMNS.map(({ name, codec, comment }) => [name, plain(codec.type), comment] as const),
    ),
    section(
      '`payloads`',
      'bodies of requests and answers as they went out, piece by piece',
      PAYLOAD_COLUMNS.map(([name, { type }, comment]) => [name, plain(type), comment] as const),
    ),
    section('`segments`', 'what each sealed segment of the journal hashes to', SEGMENT_COLUMNS),
    section('`checkpoints`', 'signed tree heads of the journals', CHECKPOINT_COLUMNS),
    section('`legal_holds`', 'what was put under a legal hold and what was let go', LEGAL_HOLD_COLUMNS),
    '### `held_events`, `held_payloads`\n\ncopies under a legal hold: `hold`, its name, and the columns of `events` and `payloads`\n',
  ]
  return [GENERATED, `Schema version ${NEWEST}.`, '## Views', ...views, '## Tables', ...tables].join('\n\n')
}

function section(name: string, comment: string, columns: readonly Described[]): string {
  const rows = columns.map(([column, type, about]) => `| \`${column}\` | ${type} | ${cell(about)} |`)
  return [`### ${name}`, '', comment, '', '| column | type | what it says |', '|---|---|---|', ...rows].join('\n')
}

function plain(type: string): string {
  return type.replaceAll(/LowCardinality\(([^()]*)\)/g, '$1')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
