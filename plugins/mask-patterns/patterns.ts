/** Texts with what was found in them masked, and counted by kind. */
import type { Originals, Transform } from '../../src/plugin.ts'
import type { TextHasher } from '../../src/statement/hmac.ts'
import type { Bytes } from '../../src/statement/json/body.ts'
import type { TextChange } from '../../src/statement/json/strings.ts'
import { partial, REDACTED } from '../../src/statement/json/value.ts'
import { strategyName, type Mask } from '../../src/statement/strategy.ts'
import { isCard } from './digits.ts'
import { find, type Kind } from './find.ts'

/** By the name of the key. */
export type Hashers = ReadonlyMap<string, TextHasher>

/** What is masked in one body, and how often. */
export class Patterns implements TextChange {
  readonly #masks: ReadonlyMap<Kind, Mask>
  readonly #kinds: readonly Kind[]
  readonly #hashers: Hashers
  readonly #counts = new Map<Kind, number>()
  readonly #originals: Originals | undefined
  #tooLong = 0

  /** `originals` is told what is masked, where it is to be sealed. */
  constructor(masks: ReadonlyMap<Kind, Mask>, hashers: Hashers, originals?: Originals) {
    this.#originals = originals
    this.#masks = masks
    this.#kinds = [...masks.keys()]
    this.#hashers = hashers
  }

  text(text: string): string | undefined {
    const all = find(text, this.#kinds)
    if (all.length === 0) return undefined
    let out = ''
    let at = 0
    for (const { kind, start, end } of all) {
      out += text.slice(at, start) + this.#masked(kind, text.slice(start, end))
      at = end
    }
    return out + text.slice(at)
  }

  number(text: string): string | undefined {
    return this.#masks.has('card') && /^\d+$/.test(text) && isCard(text) ? this.#masked('card', text) : undefined
  }

  tooLong(): void {
    this.#tooLong++
  }

  over(bytes: Bytes): Transform {
    return { push: (chunk) => bytes.push(chunk), end: () => bytes.end(), counts: () => this.counts() }
  }

  counts(): ReturnType<Transform['counts']> {
    return [
      ...[...this.#counts].map(([kind, count]) => ({
        column: kind,
        strategy: strategyName(this.#masks.get(kind) ?? { strategy: 'redact' }),
        count,
      })),
      ...(this.#tooLong > 0 ? [{ column: 'too-long', strategy: 'redact', count: this.#tooLong }] : []),
    ]
  }

  #masked(kind: Kind, text: string): string {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    this.#originals?.(kind, text)
    const mask = this.#masks.get(kind)
    if (mask?.strategy === 'partial') return partial(mask, text)
    if (mask?.strategy === 'hash') return this.#hashers.get(mask.key)?.(text) ?? REDACTED
    return REDACTED
  }
}
