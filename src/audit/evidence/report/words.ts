/** Numbers and times as the report writes them. Pure. */

const WHOLE = new Intl.NumberFormat('en')
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

export function count(value: number): string {
  return WHOLE.format(value)
}

/** For charts: 12.3K. */
export function short(value: number): string {
  return SHORT.format(value)
}

/** `of` a whole, as a percentage; a dash where there is none. */
export function share(part: number, of: number): string {
  if (of === 0) return '–'
  const percent = (part / of) * 100
  if (percent > 0 && percent < 0.1) return '<0.1%'
  return `${percent.toFixed(percent < 10 && percent > 0 ? 1 : 0)}%`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function bytes(value: number): string {
  let unit = 0
  let rest = value
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024
    unit++
  }
  return `${unit === 0 ? rest : rest.toFixed(1)} ${UNITS[unit] ?? ''}`
}

/** `2026-11-20 14:05:09`, UTC, from RFC 3339 or milliseconds. */
export function time(at: string | number): string {
  if (typeof at === 'string' && !/^\d{4}-/.test(at)) return at
  return (typeof at === 'number' ? new Date(at).toISOString() : at).slice(0, 19).replace('T', ' ')
}

/** Seconds as people say them. */
export function waited(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} days`
}

/** `1 gateway`, `2 gateways`. */
export function several(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? '' : 's'}`
}
