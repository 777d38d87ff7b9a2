/** Events as syslog: RFC 5424 messages, framed by their length as RFC 5425 demands. Pure. */
import type { OcsfEvent } from './ocsf.ts'

/** `log audit` of RFC 5424. */
const FACILITY = 13

/** RFC 5424's severity by OCSF's: an event that is worse has the smaller number. */
const SEVERITIES: Readonly<Record<number, number>> = { 1: 6, 2: 5, 3: 4, 4: 3, 5: 2 }
const NOTICE = 5

export interface Sender {
  /** This gateway's name in the records. */
  readonly writer: string
  /** Of the gateway. */
  readonly version: string
}

/** The bound of `sequenceId` in RFC 5424; it begins anew behind it. */
const SEQUENCES = 2_147_483_647

/**
 * One frame: the length of the message in bytes, a space, the message. The JSON in it is ASCII throughout, so that no
 * receiver can take its encoding for another.
 */
export function frameOf(event: OcsfEvent, { writer, version }: Sender): Uint8Array {
  const { severity_id: severity, time, metadata } = event
  const priority = FACILITY * 8 + (SEVERITIES[severity] ?? NOTICE)
  const header = [
    `<${priority}>1`,
    new Date(time).toISOString(),
    name(writer, 255),
    'sluice',
    '-',
    name(metadata.event_code, 32),
  ].join(' ')
  const sequence = ((metadata.sequence - 1) % SEQUENCES) + 1
  const data = `[origin software="sluice" swVersion="${value(version)}"][meta sequenceId="${Math.max(1, sequence)}"]`
  const message = `${header} ${data} ${ascii(JSON.stringify(event))}`
  return new TextEncoder().encode(`${message.length} ${message}`)
}

/** Visible ASCII, as names in the header must be. */
function name(text: string, most: number): string {
  const kept = text.replaceAll(/[^!-~]/g, '').slice(0, most)
  return kept === '' ? '-' : kept
}

/** The value of a parameter of structured data: at most 32 characters, of which three are escaped. */
function value(text: string): string {
  return ascii(text.slice(0, 32)).replaceAll(/["\\\]]/g, String.raw`\$&`)
}

/** JSON's own escapes for what is not ASCII. */
function ascii(json: string): string {
  return json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
