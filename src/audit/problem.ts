/** What went wrong with ClickHouse, in a word that may be shown. */

const CODE = /^[A-Za-z0-9_]{1,64}$/

/** A short code for people: ClickHouse's name for the error, or the system's. Never its message, which may quote data. */
export function problemOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at.name === 'TimeoutError' || Reflect.get(at, 'code') === 'upstream-late') return 'late'
    for (const key of ['type', 'code']) {
      const value: unknown = Reflect.get(at, key)
      if (typeof value === 'string' && CODE.test(value)) return value
    }
  }
  return 'unknown'
}
