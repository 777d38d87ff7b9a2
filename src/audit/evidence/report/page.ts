/** The report of a pack: one file without script, for people who have to judge. Pure. */
import type { EvidenceRequest } from '../../contract.ts'
import { CRITERIA, type Criterion, type SampleKind } from '../criteria.ts'
import { NOT_UNDERSTOOD, TURNED_AWAY } from '../measure.ts'
import { decisions, exhibit, samples, type Matter } from './exhibits.ts'
import { html, Html, prose } from './html.ts'
import { STYLE } from './style.ts'
import { count, several, share, time } from './words.ts'

export interface Report extends Matter {
  readonly at: number
  readonly by: EvidenceRequest['by']
  readonly exchange: string
  readonly version: string
  /** Codes of the criteria that it is about. */
  readonly controls: readonly string[]
}

/** The whole document. Nothing in it loads anything. */
export function reportHtml(report: Report): string {
  const criteria = CRITERIA.filter(({ code }) => report.controls.includes(code))
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <meta name="referrer" content="no-referrer" />
        <title>Evidence, ${day(report.span.from)} to ${day(report.span.to)}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          ${head(report)} ${overview(report)} ${contents(criteria)}
          ${criteria.map((criterion) => section(criterion, report))} ${howToCheck(report)}
          <footer>
            Sluice ${report.version}. All times are UTC. Samples are chosen by a hash of their ids: the same records
            give the same samples.
          </footer>
        </main>
      </body>
    </html> `.text
}

function head({ span, at, by, exchange, connections, measures }: Report): Html {
  const [overview] = measures.overview
  return html`<header>
    <h1>Evidence of access to data</h1>
    <p class="lead">
      ${day(span.from)} to ${day(span.to)}: what agents, services and people asked for through the gateway, what was
      decided and why, and what they were given.
    </p>
    <dl class="facts">
      <dt>Span</dt>
      <dd>${time(span.from)} to ${time(span.to)} UTC</dd>
      <dt>Connections</dt>
      <dd>${connections === undefined ? 'all' : connections.join(', ')}</dd>
      <dt>Records</dt>
      <dd>${count(overview?.records ?? 0)} of ${several(overview?.writers ?? 0, 'gateway')}</dd>
      <dt>Made</dt>
      <dd>${time(at)} UTC for ${by.subject} (${by.issuer})</dd>
      <dt>Recorded as</dt>
      <dd><code>${exchange}</code></dd>
    </dl>
  </header>`
}

function overview(report: Report): Html {
  const { measures } = report
  const [all] = measures.overview
  const sum = (pick: (row: (typeof measures.decisions)[number]) => number): number =>
    measures.decisions.reduce((total, row) => total + pick(row), 0)
  const masked = measures.answers.reduce((total, row) => total + row.masked, 0)
  const answers = measures.answers.reduce((total, row) => total + row.masked + row.plain, 0)
  const tiles: readonly (readonly [string, string])[] = [
    [count(all?.exchanges ?? 0), 'exchanges'],
    [count(sum(({ permit }) => permit)), 'permitted'],
    [count(sum(({ hold }) => hold)), 'held for a person'],
    [count(sum(({ deny }) => deny)), 'denied by policy'],
    [count(sum(({ refused }) => refused)), 'refused before'],
    [count(measures.waiting[0]?.approved ?? 0), 'approvals'],
    [share(masked, answers), 'of answers masked'],
    [count(all?.principals ?? 0), 'principals'],
  ]
  return html`<div class="tiles">
      ${tiles.map(([value, words]) => html`<div><b>${value}</b><span>${words}</span></div>`)}
    </div>
    <p class="soft">A request that was held, approved and run counts as held and as permitted.</p>
    ${decisions(report)} ${look(report)}`
}

/** What somebody should look into first; said also where there is nothing, because silence could mean both. */
function look({ measures, heads, connections }: Report): Html {
  const own = measures.waiting[0]?.own ?? 0
  const open = measures.ends.reduce((total, row) => total + row.open, 0)
  const cut = measures.ends.reduce((total, row) => total + row.cut, 0)
  const unsigned = heads.filter(({ size }) => size === undefined).length
  const uncovered = heads.filter(({ size, covered }) => size !== undefined && !covered).length
  const points = [
    own > 0 ? `${count(own)} decisions on holds by whoever had asked` : undefined,
    open > 0 ? `${count(open)} permitted requests with no recorded end` : undefined,
    cut > 0 ? `${count(cut)} answers that were cut on their way` : undefined,
    connections === undefined && unsigned > 0 ? `${count(unsigned)} logs without a signed head` : undefined,
    connections === undefined && uncovered > 0
      ? `${count(uncovered)} logs whose newest segments no signed head covers yet`
      : undefined,
  ].filter((point) => point !== undefined)
  if (points.length === 0) {
    return html`<div class="not">
      <p>
        Nothing stands out: nobody decided on a request of their own, and everything that was permitted has a whole end
        on record.
      </p>
    </div>`
  }
  return html`<div class="look">
    <p><b>To look into</b></p>
    <ul>
      ${points.map((point) => html`<li>${point}</li>`)}
    </ul>
  </div>`
}

function contents(criteria: readonly Criterion[]): Html {
  return html`<nav aria-label="Criteria">
    <h2>Criteria</h2>
    <p>
      What the records say about each, and what they do not. Criteria that are not listed are not supported by these
      records.
    </p>
    <ol>
      ${criteria.map(({ code, title }) => html`<li><span class="soft">${code}</span><a href="#${code}">${title}</a></li>`)}
    </ol>
  </nav>`
}

const SAMPLES: Readonly<Record<SampleKind, string>> = {
  denied: 'Samples: denied by policy',
  permitted: 'Samples: permitted',
  turnedAway: 'Samples: turned away at the door',
  notUnderstood: 'Samples: refused as not understood',
  maskedSamples: 'Samples: answered with masked columns',
  approved: 'Samples: decided by a person',
  broken: 'Samples: failed, cut, or settled after a crash',
}

function section(criterion: Criterion, report: Report): Html {
  const { code, title, shows, not, exhibits, samples: kind } = criterion
  return html`<section class="criterion" id="${code}">
    <h2><span class="code">${code}</span>${title}</h2>
    <p>${prose(shows)}</p>
    ${exhibits.map((name) => exhibit(name, report))}
    ${kind === undefined ? undefined : samples(SAMPLES[kind], report.measures[kind], population(kind, report))}
    <div class="not">
      <p><b>Not shown by this.</b> ${prose(not)}</p>
    </div>
  </section>`
}

const DOOR: ReadonlySet<string> = new Set(TURNED_AWAY)
const SENSE: ReadonlySet<string> = new Set(NOT_UNDERSTOOD)

/** How many there are of which these are samples. */
function population(kind: SampleKind, { measures }: Report): number {
  const decided = (pick: (row: (typeof measures.decisions)[number]) => number): number =>
    measures.decisions.reduce((total, row) => total + pick(row), 0)
  const refused = (codes: ReadonlySet<string>): number =>
    measures.refusals.reduce((total, { code, times }) => (codes.has(code) ? total + times : total), 0)
  switch (kind) {
    case 'denied':
      return decided(({ deny }) => deny)
    case 'permitted':
      return decided(({ permit }) => permit)
    case 'turnedAway':
      return refused(DOOR)
    case 'notUnderstood':
      return refused(SENSE)
    case 'maskedSamples':
      return measures.answers.reduce((total, { masked }) => total + masked, 0)
    case 'approved':
      return measures.waiting[0]?.decided ?? 0
    case 'broken':
      return decided(({ failed, cut, settled }) => failed + cut + settled)
  }
}

function howToCheck({ connections }: Report): Html {
  if (connections !== undefined) {
    return html`<section>
      <h2>Checking this pack</h2>
      <p>
        This pack is for an auditor of some connections alone. It cannot be checked against signed heads, because these
        are over the records of all connections; its files can be checked against <code>manifest.json</code>. Ask for a
        whole pack to verify that nothing was changed or left out.
      </p>
    </section>`
  }
  return html`<section>
    <h2>Checking this pack</h2>
    <p>
      The records are in this pack as the bytes that were written when they happened, hashed into logs whose heads were
      signed and kept elsewhere. With the public key, which you should have from elsewhere than from here:
    </p>
    <p><code>npm run -s sluice -- audit verify PACK.tar --key VKEY</code></p>
    <p>
      That shows that nothing in a covered segment was changed, left out, put in or reordered since it was written. It
      cannot show what a gateway never wrote, nor what followed the newest head.
    </p>
  </section>`
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
