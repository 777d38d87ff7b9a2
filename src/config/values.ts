/** The kinds of value that the configuration is made of: each takes `env:NAME`, has bounds, and says what it expects. */
import * as z from 'zod'
import { parseDuration } from '../policy/duration.ts'
import { isSafeUrl } from '../url.ts'

/** A variable of the environment, if it is set. */
export type Env = (name: string) => string | undefined

/** Where a secret is kept; the secret itself is read by whoever needs it, through `Runtime.secrets`. */
export type SecretReference = `env:${string}` | `file:${string}`

const SIZES = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const

/** Bytes of `512KiB`, `10GiB` or a plain number of bytes; `undefined` for any other text. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15})(KiB|MiB|GiB|TiB)?$/.exec(text)
  if (match === null) return undefined
  return Number(match[1]) * (match[2] === undefined ? 1 : SIZES[match[2] as keyof typeof SIZES])
}

const SECRET = /^(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\s].{0,1023})$/

/** A secret is a reference and stays one. It takes no default: a secret that is written down is none. */
export function secret() {
  return z
    .string({ error: () => SECRET_WORDS })
    .regex(SECRET, SECRET_WORDS)
    .transform((text) => text as SecretReference)
    .describe('A reference, `env:NAME` or `file:path`; never the secret itself.')
}

const SECRET_WORDS = 'a reference to a secret, `env:NAME` or `file:path`, never the secret itself'

/** The builders of values over one environment. */
export type Values = ReturnType<typeof values>

/** Makes the builders of values over one environment. */
export function values(env: Env) {
  /** What `env:NAME` or `env:NAME:-default` stands for; other texts stand for themselves. */
  const resolve = (text: string, ctx: z.RefinementCtx): string => {
    const match = /^env:([A-Za-z_][A-Za-z0-9_]{0,127})(?::-(.*))?$/s.exec(text)
    if (match === null) {
      if (!text.startsWith('env:')) return text
      ctx.addIssue({ code: 'custom', message: '`env:NAME` or `env:NAME:-default`' })
      return z.NEVER
    }
    const found = env(match[1] ?? '')
    if (found !== undefined && found !== '') return found
    if (match[2] !== undefined) return match[2]
    ctx.addIssue({ code: 'custom', message: `the variable \`${match[1]}\` to be set` })
    return z.NEVER
  }

  /** A text that `accepts`; `words` say what it is. */
  const text = (words: string, accepts: (value: string) => boolean = (value) => value !== '') =>
    z
      .string({ error: () => words })
      .max(4_096)
      .transform((value, ctx) => {
        const resolved = resolve(value, ctx)
        if (typeof resolved === 'string' && !accepts(resolved)) ctx.addIssue({ code: 'custom', message: words })
        return resolved
      })

  /** A number that `read` makes of a text, from `min` to `max`. */
  const measured = (
    words: string,
    min: number,
    max: number,
    read: (text: string) => number | undefined,
    plain: boolean,
  ) =>
    z
      .union([z.string({ error: () => words }), ...(plain ? [z.number()] : [])], { error: () => words })
      .transform((value, ctx) => {
        const resolved = typeof value === 'number' ? value : resolve(value, ctx)
        if (typeof resolved === 'object') return z.NEVER // said already: its variable is not set
        const number = typeof resolved === 'number' ? resolved : read(resolved)
        if (number === undefined || !Number.isSafeInteger(number) || number < min || number > max) {
          ctx.addIssue({ code: 'custom', message: words })
          return z.NEVER
        }
        return number
      })

  return {
    text,
    /** A text of 1 to 512 characters. */
    word: (what: string) => text(what, (value) => value.length > 0 && value.length <= 512),
    path: () => text('a path'),
    /** A whole number. */
    whole: (min: number, max: number) =>
      measured(
        `a whole number from ${min} to ${max}`,
        min,
        max,
        (value) => (/^\d{1,15}$/.test(value) ? Number(value) : undefined),
        true,
      ),
    /** Bytes: a number, or `512KiB`, `10GiB`. */
    bytes: (min: string, max: string) =>
      measured(
        `a size from ${min} to ${max}, such as \`512KiB\` or \`10GiB\``,
        parseBytes(min) ?? 0,
        parseBytes(max) ?? 0,
        parseBytes,
        true,
      ),
    /** Milliseconds, written as `30s`, `5m`, `1h`. */
    duration: (min: string, max: string) =>
      measured(
        `a duration from ${min} to ${max}, such as \`30s\`, \`5m\` or \`1h\``,
        parseDuration(min) ?? 0,
        parseDuration(max) ?? 0,
        parseDuration,
        false,
      ),
    /** https, or http on loopback; without a user or password in it. */
    url: () => text('an https URL without a password in it (http on loopback only)', isSafeUrl),
  }
}
