/** IBANs: ISO 13616, by country and check digits. */

/** Characters by country, after SWIFT's registry. */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 ' +
    'FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 ' +
    'LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 ' +
    'RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)

const BEGINNING = /(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?\d{2}/g

/** Where each stands, written together or in groups. */
export function ibans(text: string): readonly (readonly [start: number, end: number])[] {
  const found: (readonly [number, number])[] = []
  for (const { index } of text.matchAll(BEGINNING)) {
    const length = LENGTHS.get(text.slice(index, index + 2).toUpperCase())
    const end = length === undefined ? -1 : endOf(text, index, length)
    if (end >= 0) found.push([index, end])
  }
  return found
}

/** Behind `length` letters and digits that are an IBAN; -1 where they are none. */
function endOf(text: string, start: number, length: number): number {
  let plain = ''
  let at = start
  while (plain.length < length && at < text.length) {
    const char = text[at] ?? ''
    if (/[A-Za-z0-9]/.test(char)) plain += char
    else if (!/[ \u00a0-]/.test(char) || !/[A-Za-z0-9]/.test(text[at + 1] ?? '')) return -1
    at++
  }
  if (plain.length < length || /[A-Za-z0-9]/.test(text[at] ?? '')) return -1
  return isIban(plain.toUpperCase()) ? at : -1
}

/** ISO 7064 MOD 97-10. */
function isIban(plain: string): boolean {
  let rest = 0
  for (const char of plain.slice(4) + plain.slice(0, 4)) {
    const value = Number.parseInt(char, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}
