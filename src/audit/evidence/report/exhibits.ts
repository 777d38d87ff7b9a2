/** The pieces of the report: tables and charts over what was measured. Pure. */
import { bucketOf, type Measures, type Sample } from '../measure.ts'
import type { InForce } from '../people.ts'
import type { Head } from '../proofs.ts'
import type { Exhibit } from '../criteria.ts'
import { bar, columns, label, starts, type Series } from './chart.ts'
import { html, type Content, type Html } from './html.ts'
import { bytes, count, several, share, time, waited } from './words.ts'

/** What exhibits are made of. */
export interface Matter {
  readonly span: { readonly from: number; readonly to: number }
  readonly measures: Measures
  readonly inForce: readonly InForce[]
  readonly heads: readonly Head[]
  /** Present: of these connections alone. */
  readonly connections: readonly string[] | undefined
}

const PERMIT: Series = { name: 'permitted', tone: 'permit' }
const HOLD: Series = { name: 'held', tone: 'hold' }
const DENY: Series = { name: 'denied', tone: 'deny' }
const REFUSED: Series = { name: 'refused', tone: 'refused' }

const EXHIBITS: Readonly<Record<Exhibit, (matter: Matter) => Html>> = {
  identity: (matter) =>
    overTime(
      matter,
      'Decided requests of proven principals, and credentials turned away',
      [
        { name: 'proven', tone: 'permit' },
        { name: 'turned away', tone: 'refused' },
      ],
      matter.measures.identity,
      ({ proven, refused }) => [proven, refused],
    ),
  refusals: ({ measures: { refusals } }) =>
    table('Refused, by reason', ['reason', '', 'times', 'principals'], refusals, ({ code, times, principals }) => [
      html`<td><code>${code}</code></td>`,
      meter(times, refusals[0]?.times ?? 0, 'refused'),
      number(times),
      number(principals),
    ]),
  principals: ({ measures: { principals } }) =>
    table(
      'Who asked (the most active)',
      ['principal', 'kind', 'groups', 'exchanges', 'denied', 'for people', 'last'],
      principals,
      (row) => [
        html`<td>${row.principal}<br /><small>${row.issuer}</small></td>`,
        html`<td>${row.kind}</td>`,
        html`<td>${row.groups.join(', ')}</td>`,
        number(row.exchanges),
        number(row.denied),
        number(row.acts_for),
        html`<td class="t">${time(row.last).slice(0, 10)}</td>`,
      ],
    ),
  connections: ({ measures: { connections } }) =>
    table(
      'By connection',
      ['connection', 'permitted', 'held', 'denied', 'refused', 'principals', 'rows answered', 'bytes answered'],
      connections,
      (row) => [
        html`<td><code>${row.connection}</code></td>`,
        number(row.permit),
        number(row.hold),
        number(row.deny),
        number(row.refused),
        number(row.principals),
        number(row.rows),
        html`<td class="n">${bytes(row.bytes)}</td>`,
      ],
    ),
  rules: ({ measures: { rules } }) =>
    table('Rules that denied or held', ['rule', 'because', 'effect', '', 'times', 'principals'], rules, (row) => [
      html`<td><code>${row.code}</code></td>`,
      html`<td>${row.because}</td>`,
      html`<td>${row.effect === 'hold' ? 'held' : 'denied'}</td>`,
      meter(row.times, rules[0]?.times ?? 0, row.effect === 'hold' ? 'hold' : 'deny'),
      number(row.times),
      number(row.principals),
    ]),
  writes: ({ measures: { writes } }) =>
    table(
      'What was asked for, by action',
      ['action', 'permitted', 'held', 'denied', 'share permitted'],
      writes,
      (row) => [
        html`<td>${row.action}</td>`,
        number(row.permit),
        number(row.hold),
        number(row.deny),
        html`<td class="n">${share(row.permit, row.permit + row.hold + row.deny)}</td>`,
      ],
    ),
  holds: ({ measures: { holds, waiting } }) =>
    html`${table('Moves of held requests', ['moved to', '', 'times'], holds, (row) => [
      html`<td>${row.state}</td>`,
      meter(row.times, holds[0]?.times ?? 0, 'hold'),
      number(row.times),
    ])}${waiting.map(({ decided, median, longest }) =>
      decided === 0 ? undefined : html`<p>${spoken(decided, median, longest)}</p>`,
    )}`,
  approvers: ({ measures: { approvers, own, waiting } }) =>
    html`${table(
      'Who approved and rejected',
      ['person', 'groups', 'approved', 'rejected', 'of their own requests'],
      approvers,
      (row) => [
        html`<td>${row.approver}</td>`,
        html`<td>${row.groups.join(', ')}</td>`,
        number(row.approved),
        number(row.rejected),
        number(row.own),
      ],
    )}${own.length === 0 ? undefined : samples('Decided by whoever had asked', own, waiting[0]?.own ?? 0)}`,
  masked: ({ measures: { masked } }) =>
    table('Masked columns', ['column', 'how', '', 'answers', 'values counted', 'principals'], masked, (row) => [
      html`<td><code>${row.table}.${row.column}</code><br /><small>${row.connection}</small></td>`,
      html`<td>${row.strategy}</td>`,
      meter(row.answers, masked[0]?.answers ?? 0, 'masked'),
      number(row.answers),
      html`<td class="n">${row.values === 0 ? '–' : count(row.values)}</td>`,
      number(row.principals),
    ]),
  answers: (matter) =>
    overTime(
      matter,
      'Answers with and without masked columns',
      [
        { name: 'with masked columns', tone: 'masked' },
        { name: 'without', tone: 'plain' },
      ],
      matter.measures.answers,
      ({ masked, plain }) => [masked, plain],
    ),
  findings: ({ measures: { findings } }) =>
    table(
      'What statements were found to be',
      ['finding', '', 'times', 'exchanges', 'of them denied or held'],
      findings,
      (row) => [
        html`<td><code>${row.kind}</code></td>`,
        meter(row.times, findings[0]?.times ?? 0, 'plain'),
        number(row.times),
        number(row.exchanges),
        number(row.denied),
      ],
    ),
  changes: ({ connections, measures: { changes, changeCounts } }) =>
    connections !== undefined
      ? LEFT_OUT
      : html`<p>${totals(changeCounts)}</p>
          ${table(
            'Starts, stops and changes (the newest)',
            ['at (UTC)', 'what', 'policies', 'gateway'],
            changes,
            (row) => [
              html`<td class="t">${time(row.at)}</td>`,
              html`<td>
                ${row.kind === 'policy' ? 'policies changed' : row.kind}${row.note === '' ? '' : html`<br /><small>${noteOf(row)}</small>`}
              </td>`,
              html`<td><code>${digest(row.policy)}</code></td>`,
              html`<td><code>${row.writer.slice(0, 8)}</code></td>`,
            ],
          )}`,
  ends: ({ measures: { ends, open } }) =>
    html`${ends.map(
      (row) =>
        html`<table>
          <caption>
            How what was permitted ended
          </caption>
          <tbody>
            ${(
              [
                ['answered whole', row.answered],
                ['cut on its way', row.cut],
                ['failed before an answer', row.failed],
                ['ended by a crash, settled later with the upstream', row.settled],
                ['no end recorded: still running when this was made, or unknown', row.open],
              ] as const
            ).map(
              ([words, value]) =>
                html`<tr>
                  <th scope="row">${words}</th>
                  <td class="w">${bar(value, row.permitted, 'permit')}</td>
                  ${number(value)}
                  <td class="n">${share(value, row.permitted)}</td>
                </tr>`,
            )}
          </tbody>
        </table>`,
    )}${open.length === 0 ? undefined : samples('Without a recorded end', open, ends[0]?.open ?? 0)}`,
  auditors: ({ measures: { auditors } }) =>
    table('Who queried the audit log', ['person', 'queries and exports', 'refused', 'last'], auditors, (row) => [
      html`<td>${row.principal}</td>`,
      number(row.queries),
      number(row.refused),
      html`<td class="t">${time(row.last)}</td>`,
    ]),
  retention: ({ measures: { retention } }) =>
    table('How long records are kept', ['connection', 'days', 'records', 'the first end'], retention, (row) => [
      html`<td>
        ${row.connection === '' ? html`<span class="soft">of none</span>` : html`<code>${row.connection}</code>`}
      </td>`,
      number(row.days),
      number(row.records),
      html`<td class="t">${row.soonest}</td>`,
    ]),
  bodies: ({ measures: { bodies } }) =>
    table('What of answers was kept', ['kept', 'answers', 'bytes'], bodies, (row) => [
      html`<td>${row.recorded}</td>`,
      number(row.answers),
      html`<td class="n">${bytes(row.bytes)}</td>`,
    ]),
  heads: ({ heads, connections }) =>
    connections !== undefined
      ? LEFT_OUT
      : table(
          'Signed heads of the logs',
          [
            'gateway',
            'epoch',
            'segments in this pack',
            'checkpoints',
            'newest size',
            'signed (UTC)',
            'longest silence',
          ],
          heads,
          (row) => [
            html`<td><code>${row.writer.slice(0, 8)}</code></td>`,
            html`<td><code>${row.epoch.slice(0, 8)}</code></td>`,
            html`<td>${count(row.first)} to ${count(row.last)}</td>`,
            number(row.checkpoints),
            html`<td class="n">${row.size === undefined ? '–' : count(row.size)}</td>`,
            html`<td class="t">${row.signedAt === undefined ? 'never' : time(row.signedAt)}</td>`,
            html`<td class="n">${row.checkpoints < 2 ? '–' : waited(row.silence)}</td>`,
          ],
        ),
  policies: ({ inForce, connections }) =>
    connections !== undefined
      ? LEFT_OUT
      : table('Policies in force', ['digest', 'from (UTC)', 'documents here', 'gateways'], byDigest(inForce), (row) => [
          html`<td><code>${row.policy}</code></td>`,
          html`<td class="t">${row.before ? 'before the span' : time(row.at)}</td>`,
          number(row.documents),
          number(row.writers),
        ]),
}

/** The note of a record, without the digest that stands beside it. */
function noteOf({ note, policy }: Matter['measures']['changes'][number]): string {
  return policy === '' ? note : note.replace(policy, digest(policy))
}

const LEFT_OUT = html`<p class="none">Not in a pack for an auditor of some connections alone.</p>`

/** An exhibit by its name. */
export function exhibit(name: Exhibit, matter: Matter): Html {
  return EXHIBITS[name](matter)
}

/** The decisions of the whole span: the chart that the report begins with. */
export function decisions(matter: Matter): Html {
  return overTime(
    matter,
    'Requests over time, by what became of them',
    [PERMIT, HOLD, DENY, REFUSED],
    matter.measures.decisions,
    ({ permit, hold, deny, refused }) => [permit, hold, deny, refused],
  )
}

/** Some of the `of` that there are, by exchange: each can be found in `readable/` under its id. */
export function samples(title: string, rows: readonly Partial<Sample & Approved>[], of: number): Html {
  if (rows.length === 0) return html`<p class="none">${title}: none in this span.</p>`
  return html`<table class="samples">
    <caption>
      ${title}
      <span class="soft">${count(rows.length)} of ${count(Math.max(of, rows.length))}</span>
    </caption>
    <thead>
      <tr>
        <th scope="col">exchange</th>
        <th scope="col">who</th>
        <th scope="col">what and why</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(sample)}
    </tbody>
  </table>`
}

interface Approved {
  readonly approver: string
  readonly comment: string
  readonly state: string
}

function sample(row: Partial<Sample & Approved & { why: string }>): Html {
  const {
    exchange = '',
    at = '',
    principal = '',
    acts_for: actsFor = '',
    connection = '',
    statement = '',
    why = '',
  } = row
  return html`<tr>
    <td><code>${exchange}</code><br /><small>${time(at)}</small></td>
    <td>
      ${principal === '' ? html`<span class="soft">nobody proven</span>` : principal}${actsFor === '' ? undefined : html`<br /><small>for ${actsFor}</small>`}${connection === '' ? undefined : html`<br /><small>on ${connection}</small>`}
    </td>
    <td>
      ${statement === '' ? undefined : html`<code>${statement}</code><br />`}${why}${
        row.approver === undefined
          ? undefined
          : html`<br />${row.state ?? ''} by
              <b>${row.approver}</b>${row.comment === undefined || row.comment === '' ? '' : html`: “${row.comment}”`}`
      }
    </td>
  </tr>`
}

function overTime<Row extends { readonly start: string }>(
  { span: { from, to } }: Matter,
  title: string,
  series: readonly Series[],
  rows: readonly Row[],
  values: (row: Row) => readonly number[],
): Html {
  const bucket = bucketOf(from, to)
  const found = new Map(rows.map((row) => [Date.parse(`${row.start.slice(0, 19).replace(' ', 'T')}Z`), values(row)]))
  const none = series.map(() => 0)
  const per = `${title}, by ${bucket}`
  return columns(
    per,
    series,
    starts(from, to, bucket).map((start) => ({ label: label(start, bucket), values: found.get(start) ?? none })),
  )
}

function table<Row>(
  title: string,
  head: readonly string[],
  rows: readonly Row[],
  cells: (row: Row) => readonly Content[],
): Html {
  if (rows.length === 0) return html`<p class="none">${title}: none in this span.</p>`
  return html`<table>
    <caption>
      ${title}
    </caption>
    <thead>
      <tr>
        ${head.map((word) => html`<th scope="col" class="${NUMBERS.has(word) ? 'n' : ''}">${word}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row) =>
          html`<tr>
            ${cells(row)}
          </tr>`,
      )}
    </tbody>
  </table>`
}
/** Heads of columns of numbers. */
const NUMBERS: ReadonlySet<string> = new Set([
  'times',
  'principals',
  'exchanges',
  'denied',
  'for people',
  'permitted',
  'held',
  'refused',
  'rows answered',
  'bytes answered',
  'share permitted',
  'approved',
  'rejected',
  'of their own requests',
  'answers',
  'values counted',
  'of them denied or held',
  'queries and exports',
  'days',
  'records',
  'bytes',
  'checkpoints',
  'newest size',
  'gateways',
  'documents here',
  'longest silence',
])

function number(value: number): Html {
  return html`<td class="n">${count(value)}</td>`
}

function meter(value: number, most: number, tone: string): Html {
  return html`<td class="w">${bar(value, most, tone)}</td>`
}

/** How long people took. */
function spoken(decided: number, median: number, longest: number): string {
  if (decided === 1) return `A person decided once, after ${waited(longest)}.`
  return `People decided ${count(decided)} times, half of them within ${waited(median)}, the slowest after ${waited(longest)}.`
}

/** `3 starts, 1 change of policies, 2 stops`, each also where it is none. */
function totals(counts: Matter['measures']['changeCounts']): string {
  const of = (kind: string): number => counts.find((row) => row.kind === kind)?.times ?? 0
  const changes = of('policy')
  return `${several(of('started'), 'start')}, ${several(of('stopped'), 'stop')} and ${several(changes, 'change')} of policies or access lists.`
}

function digest(policy: string): string {
  return policy.replace(/^sha256:/, '').slice(0, 16)
}

function byDigest(inForce: readonly InForce[]) {
  const digests = Map.groupBy(inForce, ({ policy }) => policy)
  return [...digests].map(([policy, times]) => ({
    policy,
    at: times.map(({ at }) => at).toSorted()[0] ?? '',
    before: times.some(({ kind }) => kind === 'before'),
    documents: Math.max(...times.map(({ documents }) => documents)),
    writers: new Set(times.map(({ writer }) => writer)).size,
  }))
}
