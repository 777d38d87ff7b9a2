/** A log of bodies in memory, breakable: for tests of what is recorded of an exchange, and when. */
import { PieceTape } from '../../src/audit/bodies/tape.ts'
import type { PayloadLog } from '../../src/audit/contract.ts'
import type { UnplacedPayload } from '../../src/audit/payload.ts'
import { Failure } from '../../src/failure.ts'
import { nodeHasher } from './hasher.ts'

export interface Payloads {
  readonly log: PayloadLog
  readonly rows: UnplacedPayload[]
  /** What was recorded one way, as text. */
  text(direction: UnplacedPayload['direction']): string
}

export const FULL = new Failure('audit-unavailable', 'the log of bodies is full')

/** `events` hears of each piece in the order in which it became durable. */
export function payloads(
  more: Partial<PayloadLog> & {
    readonly events?: string[]
    readonly append?: (row: UnplacedPayload) => Promise<void>
  } = {},
): Payloads {
  const { events, append, ...over } = more
  const rows: UnplacedPayload[] = []
  const log: PayloadLog = {
    open: (body) =>
      new PieceTape({
        body,
        writer: 'w1',
        epoch: 'e1',
        retainUntil: 1,
        async append(row) {
          await append?.(row)
          rows.push(row)
          events?.push(`body ${row.direction}${row.is_last ? ' whole' : ''}`)
        },
        hasher: nodeHasher,
        now: () => 1_000_000,
      }),
    status: () => ({ writable: true, tight: false, backlogRecords: 0, backlogBytes: 0 }),
    close: async () => {},
    ...over,
  }
  return {
    log,
    rows,
    text: (direction) =>
      Buffer.concat(rows.filter((row) => row.direction === direction).map((row) => row.content)).toString(),
  }
}
