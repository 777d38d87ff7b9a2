/** Charts as inline SVG: no script, colours by class, the numbers as titles and, for readers and copies, as a table. Pure. */
import type { Bucket } from '../measure.ts'
import { html, Html, type Content } from './html.ts'
import { count, short } from './words.ts'

export interface Series {
  readonly name: string
  /** A class of the style sheet: `permit`, `hold`, `deny`, … */
  readonly tone: string
}

export interface Column {
  readonly label: string
  /** One for each series. */
  readonly values: readonly number[]
}

const WIDTH = 760
const HEIGHT = 190
const LEFT = 46
const BOTTOM = 24
const TOP = 8

/** Stacked columns over time. */
export function columns(title: string, series: readonly Series[], data: readonly Column[]): Html {
  const totals = data.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const most = Math.max(0, ...totals)
  if (most === 0) return html`<p class="none">${title}: nothing in this span.</p>`
  const steps = ticks(most)
  const top = steps.at(-1) ?? most
  const plot = HEIGHT - BOTTOM - TOP
  const y = (value: number): number => TOP + plot - (value / top) * plot
  const slot = (WIDTH - LEFT) / data.length
  const gap = Math.min(4, slot * 0.25)
  const every = Math.max(1, Math.ceil(data.length / 9))
  return html`<figure>
    <figcaption>
      ${title}<span class="legend"
        >${series.map(({ name, tone }) => html`<span><i class="${tone}"></i>${name}</span>`)}</span
      >
    </figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
      ${steps.map(
        (step) =>
          html`<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${fixed(y(step))}" y2="${fixed(y(step))}" />
            <text class="tick" x="${LEFT - 7}" y="${fixed(y(step) + 3.5)}" text-anchor="end">${short(step)}</text>`,
      )}
      ${data.map((column, i) => stack(column, series, LEFT + i * slot + gap / 2, slot - gap, y))}
      ${data.map(({ label }, i) => (i % every === 0 ? tick(label, LEFT + i * slot + slot / 2) : undefined))}
    </svg>
    ${numbers(title, series, data)}
  </figure>`
}

/** A label under the middle of its column; the last ones end with the chart. */
function tick(words: string, x: number): Html {
  const room = words.length * HALF_CHARACTER
  const [anchor, at] = x + room > WIDTH ? (['end', WIDTH] as const) : (['middle', x] as const)
  return html`<text class="tick" x="${fixed(at)}" y="${HEIGHT - 7}" text-anchor="${anchor}">${words}</text>`
}
/** Half the width of a digit of a tick. */
const HALF_CHARACTER = 3.2

function stack(
  { label, values }: Column,
  series: readonly Series[],
  x: number,
  width: number,
  y: (value: number) => number,
): Content {
  let below = 0
  const bars = values.map((value, i) => {
    if (value === 0) return undefined
    const high = y(below + value)
    // What is there is seen, however little it is beside the others.
    const height = Math.max(1, y(below) - high)
    below += value
    return html`<rect
      class="${series[i]?.tone ?? ''}"
      x="${fixed(x)}"
      y="${fixed(high)}"
      width="${fixed(width)}"
      height="${fixed(height)}"
    />`
  })
  const words = values.map((value, i) => `${series[i]?.name ?? ''} ${count(value)}`).join(', ')
  return html`<g><title>${label}: ${words}</title>${bars}</g>`
}

/** The same as a table: what a chart shows can be read, searched and copied. */
function numbers(title: string, series: readonly Series[], data: readonly Column[]): Html {
  return html`<details>
    <summary>numbers</summary>
    <table>
      <caption>
        ${title}
      </caption>
      <thead>
        <tr>
          <th scope="col">from (UTC)</th>
          ${series.map(({ name }) => html`<th scope="col" class="n">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${data.map(
          ({ label, values }) =>
            html`<tr>
              <th scope="row">${label}</th>
              ${values.map((value) => html`<td class="n">${count(value)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </details>`
}

/** A bar in a cell of a table, as its part of `most`. */
export function bar(value: number, most: number, tone: string): Html {
  const width = most === 0 ? 0 : Math.max(value === 0 ? 0 : 1, (value / most) * 100)
  return html`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="${tone}" width="${fixed(width)}" height="8" />
  </svg>`
}

/** Three or four round numbers up to at least `most`. */
export function ticks(most: number): readonly number[] {
  const raw = most / 3
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw) ?? power * 10)
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** The start of each column of a span, milliseconds since 1970 UTC; weeks begin on Mondays. */
export function starts(from: number, to: number, bucket: Bucket): readonly number[] {
  const found: number[] = []
  for (let at = startOf(from, bucket); at < to && found.length < 2000; at = startAfter(at, bucket)) found.push(at)
  return found
}

const HOUR = 3_600_000
const DAY = 24 * HOUR

function startOf(at: number, bucket: Bucket): number {
  if (bucket === 'hour') return Math.floor(at / HOUR) * HOUR
  const day = Math.floor(at / DAY)
  if (bucket === 'day') return day * DAY
  // The first day of 1970 was a Thursday.
  if (bucket === 'week') return (day - ((day + 3) % 7)) * DAY
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
}

function startAfter(start: number, bucket: Bucket): number {
  if (bucket === 'hour') return start + HOUR
  if (bucket === 'day') return start + DAY
  if (bucket === 'week') return start + 7 * DAY
  const date = new Date(start)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}

/** A start as it stands under its column. */
export function label(start: number, bucket: Bucket): string {
  const iso = new Date(start).toISOString()
  if (bucket === 'hour') return iso.slice(5, 13).replace('T', ' ') + 'h'
  return bucket === 'month' ? iso.slice(0, 7) : iso.slice(5, 10)
}
