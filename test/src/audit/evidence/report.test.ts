import { expect, test } from 'vitest'
import { columns, label, starts, ticks } from '../../../../src/audit/evidence/report/chart.ts'
import { html, prose } from '../../../../src/audit/evidence/report/html.ts'
import { bytes, share, time, waited } from '../../../../src/audit/evidence/report/words.ts'
import { criteriaOf } from '../../../../src/audit/evidence/criteria.ts'
import { bucketOf } from '../../../../src/audit/evidence/measure.ts'

const DAY = 86_400_000
const AT = Date.UTC(2026, 8, 16, 13, 30)

test('a value is text, in content and in attributes, whatever is in it', () => {
  const evil = `"><script>alert('x')</script>&`
  expect(html`<b title="${evil}">${evil}</b>`.text).toBe(
    '<b title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;">' +
      '&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;</b>',
  )
  expect(html`${[html`<i>${'<'}</i>`, undefined, 5, ['a', 'b']]}`.text).toBe('<i>&lt;</i>5ab')
})

test('what cannot be seen, or turns the reading around, is shown as what it is', () => {
  expect(html`${'admin‮txt.exe\u0000'}`.text).toBe(
    'admin&#xFFFD;<small>U+202E</small>txt.exe&#xFFFD;<small>U+0000</small>',
  )
})

test('our prose has code between backticks, escaped too', () => {
  expect(prose('see `a<b>` there').text).toBe('see <code>a&lt;b&gt;</code> there')
})

test('columns are as wide as the span is long', () => {
  expect([2, 30, 400, 790].map((days) => bucketOf(AT, AT + days * DAY))).toEqual(['hour', 'day', 'week', 'month'])
  expect(starts(AT, AT + 3_600_000, 'hour').map((start) => label(start, 'hour'))).toEqual(['09-16 13h', '09-16 14h'])
  expect(starts(AT, AT + DAY, 'day').map((start) => label(start, 'day'))).toEqual(['09-16', '09-17'])
  // Mondays.
  expect(starts(AT, AT + 7 * DAY, 'week').map((start) => label(start, 'week'))).toEqual(['09-14', '09-21'])
  expect(starts(AT, AT + 40 * DAY, 'month').map((start) => label(start, 'month'))).toEqual(['2026-09', '2026-10'])
})

test('an axis has few round numbers, and the largest is no smaller than the most', () => {
  expect([1, 3, 7, 10, 95, 4200].map((most) => ticks(most))).toEqual([
    [0, 1],
    [0, 1, 2, 3],
    [0, 5, 10],
    [0, 5, 10],
    [0, 50, 100],
    [0, 2000, 4000, 6000],
  ])
})

test('a chart has its numbers as a table, and says where there is nothing', () => {
  const series = [
    { name: 'a', tone: 'permit' },
    { name: 'b', tone: 'deny' },
  ]
  const chart = columns('Title', series, [{ label: 'x', values: [5, 1] }]).text.replaceAll(/\s+/g, ' ')
  expect(chart).toContain('<title>x: a 5, b 1</title>')
  expect(chart).toMatch(/<th scope="row">x<\/th> ?<td class="n">5<\/td> ?<td class="n">1<\/td>/)
  expect(columns('Title', series, [{ label: 'x', values: [0, 0] }]).text).toContain('nothing in this span')
})

test('numbers in words', () => {
  expect([share(0, 0), share(0, 5), share(1, 5000), share(1, 50), share(5, 5)]).toEqual([
    '–',
    '0%',
    '<0.1%',
    '2.0%',
    '100%',
  ])
  expect([bytes(12), bytes(2048), bytes(5 * 1024 ** 3)]).toEqual(['12 B', '2.0 KiB', '5.0 GiB'])
  expect([waited(30), waited(600), waited(7200 * 2), waited(86_400 * 3)]).toEqual([
    '30 s',
    '10 min',
    '4.0 h',
    '3.0 days',
  ])
  expect([time(AT), time('2026-09-16T13:30:00.123456Z')]).toEqual(['2026-09-16 13:30:00', '2026-09-16 13:30:00'])
})

test('criteria come once and in order; of one that records say nothing about, none is made up', () => {
  expect(criteriaOf(['C1.1', 'CC6.1', 'C1.1'])).toEqual(['CC6.1', 'C1.1'])
  expect(criteriaOf([]).length).toBeGreaterThan(15)
  expect(() => criteriaOf(['A1.1'])).toThrow('a control is not one that records say something about')
})
