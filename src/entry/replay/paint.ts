/**
 * Events of a replay as lines for a terminal. What is recorded came from strangers: no character of it reaches the terminal
 * that is not printed.
 */

export interface Painter {
  /** Lines, each with its line break. */
  paint(event: Facts & { readonly at: number; readonly event: string }): string
}

type Facts = Readonly<Record<string, unknown>>

/** A painter knows what it painted before. `colours`: with the terminal's. */
export function createPainter(colours: boolean): Painter {
  const colour = (code: number, text: string): string => (colours ? `\u001B[${code}m${text}\u001B[0m` : text)
  /** The body that is being painted, and whether its last line goes on. */
  let direction: string | undefined
  let open = false
  /** As it was asked: what ran is told where it is another. */
  let text: unknown
  return {
    paint({ at, event, ...given }) {
      if (event === 'chunk' && typeof given['text'] === 'string') return chunk(at, given, given['text'])
      if (event === 'request') text = facts(given['statement'])['text']
      const { words, below = [] } = told(event, given, text)
      return [
        closed(),
        line(at, paintedName(event, given, colour), words),
        ...below.map((each) => `${BAR}${each}\n`),
      ].join('')
    },
  }

  function chunk(at: number, given: Facts, content: string): string {
    const whose = word(given['direction'])
    const head = whose === direction ? '' : `${closed()}${line(at, `${whose} body`, heading(given))}`
    direction = whose
    const begun = open
    if (content !== '') open = !content.endsWith('\n')
    const shown = safe(content)
      .replace(/\n$/, '')
      .split('\n')
      .map((each, i) => (i === 0 && begun ? each : `${BAR}${each}`))
    const painted = content === '' ? '' : colour(DIM, shown.join('\n')) + (open ? '' : '\n')
    return `${head}${painted}${markOf(given)}`
  }

  /** Ends a line that goes on, and the body that it is of. */
  function closed(): string {
    const before = open ? '\n' : ''
    open = false
    direction = undefined
    return before
  }

  function line(at: number, name: string, words: string): string {
    return `${colour(DIM, stamp(at))}  ${name}${words === '' ? '' : `  ${words}`}\n`
  }

  function markOf({ mark }: Facts): string {
    return typeof mark === 'string' ? `${closed()}${BAR}${colour(YELLOW, `(${safe(mark)})`)}\n` : ''
  }
}

const BAR = '            │ '
const DIM = 2
const RED = 31
const GREEN = 32
const YELLOW = 33
const BOLD = 1

function stamp(at: number): string {
  return `+${(at / 1000).toFixed(3)}s`.padStart(10)
}

/** Text without what a terminal would obey: controls, marks of direction, and what no font has. */
function safe(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]/gu, '?')
}

/** One line of it. */
function word(value: unknown): string {
  const text = typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
  return safe(text).replaceAll(/\s+/g, ' ').trim()
}

function lines(value: unknown): readonly string[] {
  return typeof value === 'string' && value !== '' ? safe(value).trimEnd().split('\n') : []
}

function facts(value: unknown): Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Facts) : {}
}

function items(value: unknown): readonly Facts[] {
  return Array.isArray(value) ? value.map(facts) : []
}

function heading({ type, digests }: Facts): string {
  const secrets = Array.isArray(digests) ? `${digests.length} secret values as digests` : ''
  return [word(type), secrets].filter((part) => part !== '').join(', ')
}

interface Told {
  readonly words: string
  readonly below?: readonly string[]
}

function told(event: string, given: Facts, text: unknown): Told {
  switch (event) {
    case 'request':
      return asked(given)
    case 'decided':
      return decided(given)
    case 'columns':
      return { words: items(given['columns']).map(columnOf).join(', ') }
    case 'completed':
      return completed(given, text)
    case 'failed':
    case 'refused': {
      const { code, message } = facts(given['failure'])
      return { words: `${word(code)}: ${word(message)}` }
    }
    case 'settled':
      return { words: `${word(given['outcome'])}: ${word(given['note'])}` }
    case 'hold': {
      const { state, comment } = facts(given['hold'])
      const said = comment === undefined ? '' : `: ${word(comment)}`
      return { words: `${word(state)} by ${nameOf(facts(given['by']))}${said}` }
    }
    case 'chunk':
      return { words: `${word(given['direction'])} body, ${String(word(given['base64']).length)} characters of base64` }
    case 'end':
      return { words: '' }
    default:
      return { words: word(given['note']) }
  }
}

function asked(given: Facts): Told {
  const statement = facts(given['statement'])
  const on = given['connection'] === undefined ? '' : ` on ${word(given['connection'])}`
  const why = given['purpose'] === undefined ? '' : `, because: ${word(given['purpose'])}`
  return {
    words: `${word(given['surface'])} by ${nameOf(facts(given['principal']))}${on}${why}`,
    below: lines(statement['text']),
  }
}

function nameOf({ issuer, subject, actsFor }: Facts): string {
  if (subject === undefined) return 'nobody who was proven'
  const person = facts(actsFor)
  const behind = person['subject'] === undefined ? '' : ` for ${word(person['issuer'])}:${word(person['subject'])}`
  return `${word(issuer)}:${word(subject)}${behind}`
}

function decided(given: Facts): Told {
  const { effect, reasons } = facts(given['decision'])
  return {
    words: word(effect),
    below: items(reasons).map(({ code, because }) => `${word(code)}: ${word(because)}`),
  }
}

function columnOf({ name, type, masked }: Facts): string {
  return `${word(name)} ${word(type)}${masked === undefined ? '' : ` (${word(masked)})`}`
}

function completed(given: Facts, text: unknown): Told {
  const { ending, cut, rowCount, byteCount, status, masked, ran } = facts(given['completion'])
  const { answer } = facts(given['bodies'])
  const parts = [
    `${word(ending)}${cut === undefined ? '' : ` (${word(cut)})`}`,
    status === undefined ? '' : `status ${word(status)}`,
    `${word(rowCount)} rows`,
    `${word(byteCount)} bytes`,
    answer === undefined ? 'the answer was not kept' : `kept: ${word(facts(answer)['mode'])}`,
  ]
  return {
    words: parts.filter((part) => part !== '').join(', '),
    below: [
      ...items(masked).map(({ table, column, strategy }) => `masked ${word(table)}.${word(column)}: ${word(strategy)}`),
      ...(typeof ran === 'string' && ran !== text ? ['what ran:', ...lines(ran)] : []),
    ],
  }
}

/** Names stand out by how things went. */
function paintedName(event: string, given: Facts, colour: (code: number, text: string) => string): string {
  const name = safe(event).slice(0, 20).padEnd(9)
  const { effect } = facts(given['decision'])
  if (event === 'failed' || event === 'refused' || effect === 'deny') return colour(RED, name)
  if (effect === 'hold' || event === 'hold') return colour(YELLOW, name)
  if (event === 'completed' || effect === 'permit') return colour(GREEN, name)
  return colour(BOLD, name)
}
