/** What an answer of then and one of now have in common. Pure. */
import type { Again } from './execute.ts'
import type { RecordedAnswer } from './recorded.ts'
import type { RowsSeen } from './rows.ts'

/** One thing that was compared. `unknown`: the record does not hold it. */
export interface Compared {
  readonly what: 'columns' | 'row count' | 'rows' | 'masks' | 'status' | 'body'
  readonly came: 'same' | 'same in another order' | 'different' | 'unknown'
  /** In words. */
  readonly detail: string
}

/** What is known of the answer of then. `kept`: its columns and rows, where they are recorded whole. */
export interface Then {
  readonly answer: RecordedAnswer
  readonly kept?: { readonly columns: unknown; readonly rows: RowsSeen }
  /** Digests stand in the place of secret values: the record is not what went out. */
  readonly isRedacted: boolean
}

export function compareSql({ answer, kept, isRedacted }: Then, again: Again): readonly Compared[] {
  const digest = isRedacted ? '' : answer.digest
  const isSame = digest !== '' && digest === again.digest
  return [
    columns(kept?.columns, again.columns, isSame),
    rowCount(answer.rowCount, again),
    rows(kept?.rows, again, { digest, isSame, count: answer.rowCount, isRedacted }),
  ]
}

export function compareHttp({ answer, isRedacted }: Then, again: Again): readonly Compared[] {
  const { status, byteCount, digest } = answer
  const is = `${again.status}, ${again.byteCount} bytes`
  const isKnown = digest !== '' && !isRedacted
  return [
    {
      what: 'status',
      came: sameness(status === again.status),
      detail: `${status ?? 'none'} then, ${again.status} now`,
    },
    {
      what: 'body',
      came: isKnown ? sameness(digest === again.digest) : 'unknown',
      detail: isKnown ? `${byteCount ?? 0} bytes then, ${again.byteCount} now` : `${is}; ${lack(isRedacted)}`,
    },
  ]
}

/** What was masked, as the records of both say: `shop.customers.email hash`, sorted. */
export function compareMasks(then: readonly string[], now: readonly string[] | undefined): Compared {
  const what = 'masks'
  if (now === undefined) return { what, came: 'unknown', detail: 'the record of the re-execution has not come in' }
  const words = (masked: readonly string[]): string => (masked.length === 0 ? 'none' : masked.join(', '))
  if (words(then) === words(now)) return { what, came: 'same', detail: words(now) }
  return { what, came: 'different', detail: `${words(then)} then, ${words(now)} now` }
}

/** Whether nothing that could be compared is different. */
export function isSameAnswer(compared: readonly Compared[]): boolean {
  return compared.every(({ came }) => came !== 'different')
}

function columns(then: unknown, now: unknown, isSame: boolean): Compared {
  const what = 'columns'
  if (then === undefined && isSame) return { what, came: 'same', detail: 'by the digest of the whole answer' }
  if (then === undefined) return { what, came: 'unknown', detail: 'the answer is not recorded' }
  const names = (list: unknown): string => (Array.isArray(list) ? list.map(nameOf).join(', ') : '')
  if (JSON.stringify(then) === JSON.stringify(now)) return { what, came: 'same', detail: names(now) }
  return { what, came: 'different', detail: `${names(then)} then, ${names(now)} now` }
}

/** `email STRING (hash)` */
function nameOf(column: unknown): string {
  const { name, type, masked } = column as { name?: string; type?: string; masked?: string }
  return `${name} ${type}${masked === undefined ? '' : ` (${masked})`}`
}

function rowCount(then: number | null, { rows: now, ending }: Again): Compared {
  const count = now?.rowCount ?? 0
  // It was asked for one row more than there were.
  const words = `${count}${ending === 'cut' ? ' or more' : ''} now`
  if (then === null) return { what: 'row count', came: 'unknown', detail: words }
  return { what: 'row count', came: sameness(then === count), detail: `${then} then, ${words}` }
}

interface Counted {
  readonly digest: string
  readonly isSame: boolean
  readonly count: number | null
  readonly isRedacted: boolean
}

function rows(
  then: RowsSeen | undefined,
  { rows: now }: Again,
  { digest, isSame, count, isRedacted }: Counted,
): Compared {
  const what = 'rows'
  if (isSame) return { what, came: 'same', detail: `SHA-256 ${digest}` }
  if (count === 0 && now?.rowCount === 0) return { what, came: 'same', detail: 'none' }
  if (then === undefined || now === undefined) {
    if (digest !== '') return { what, came: 'different', detail: 'by the digest of the whole answer, order and all' }
    return { what, came: count === now?.rowCount ? 'unknown' : 'different', detail: lack(isRedacted) }
  }
  if (then.ordered === now.ordered) return { what, came: 'same', detail: `${now.rowCount} rows` }
  if (then.unordered === now.unordered) {
    return { what, came: 'same in another order', detail: `${now.rowCount} rows; the statement need not order them` }
  }
  return { what, came: 'different', detail: `${then.rowCount} then, ${now.rowCount} now` }
}

function lack(isRedacted: boolean): string {
  return isRedacted ? 'the record has digests in the place of secret values, or is gone' : 'the answer is not recorded'
}

function sameness(isSame: boolean): 'same' | 'different' {
  return isSame ? 'same' : 'different'
}
