/** HTML in which every value is escaped unless it is HTML itself. Pure. */

export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Content = Html | string | number | undefined | readonly Content[]

/** A template whose values are text; nothing of them becomes markup. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((part, i) => part + (i < values.length ? rendered(values[i]) : '')).join(''))
}

function rendered(value: Content): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return escaped(String(value))
  return value.map(rendered).join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Also what would be invisible or turn the reading around: control characters and marks of direction are shown as what they
 * are, so that a name cannot pose as another.
 */
function escaped(value: string): string {
  return value
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(
      // oxlint-disable-next-line no-control-regex
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g,
      (character) =>
        `&#xFFFD;<small>U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}</small>`,
    )
}

/** Our own prose: what stands between backticks is code. */
export function prose(words: string): Html {
  return html`${words.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part))}`
}
