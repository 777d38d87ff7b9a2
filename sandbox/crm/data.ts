/**
 * The CRM's data: generated, the same at every start, in memory. Every person, number and address is invented; card
 * numbers are test numbers.
 */

export interface Customer {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly ssn: string
  readonly phone: string | null
  readonly address: { readonly street: string; readonly city: string; readonly zip: string }
  readonly contacts: readonly { readonly kind: 'email' | 'phone'; readonly value: string }[]
  readonly payment: { readonly card: { readonly number: string; readonly expires: string } } | null
  readonly created_at: string
}

export interface Order {
  readonly id: number
  readonly customer_id: number
  readonly customer_email: string
  readonly amount: string
  readonly status: 'open' | 'paid' | 'shipped' | 'returned'
}

/** How many customers there are at the start. */
export const CUSTOMER_COUNT = 100
export const ORDER_COUNT = 300

const FIRST = ['Ada', 'Grace', 'Alan', 'Barbara', 'Edsger', 'Radia', 'Donald', 'Frances', 'Tim', 'Katherine']
const LAST = ['Novak', 'Okafor', 'Silva', 'Tanaka', 'Moreau', 'Larsen', 'Haddad', 'Kowalski', 'Rossi', 'Nguyen']
const STREETS = ['Elm Street', 'Harbour Road', 'Mill Lane', 'Station Road', 'Park Avenue']
const CITIES = ['Oslo', 'Porto', 'Graz', 'Leeds', 'Turin']
const STATUSES = ['open', 'paid', 'shipped', 'returned'] as const
const START = Date.UTC(2025, 0, 1)
const DAY_MS = 86_400_000

/** Customer `id`, from 1. Every seventh has no phone, every ninth no payment. */
export function customer(id: number): Customer {
  const first = pick(FIRST, id)
  const last = pick(LAST, Math.floor(id / FIRST.length))
  const email = `${first}.${last}.${id}@example.com`.toLowerCase()
  const phone = `+1-555-${digits(id * 37, 3)}-${digits(id * 7919, 4)}`
  return {
    id,
    name: `${first} ${last}`,
    email,
    ssn: `${digits(id * 13 + 100, 3)}-${digits(id * 3, 2)}-${digits(id * 4001, 4)}`,
    phone: id % 7 === 0 ? null : phone,
    address: { street: `${id} ${pick(STREETS, id)}`, city: pick(CITIES, id), zip: digits(id * 97, 5) },
    contacts: [{ kind: 'email', value: email }, ...(id % 7 === 0 ? [] : [{ kind: 'phone' as const, value: phone }])],
    payment: id % 9 === 0 ? null : { card: { number: `411111111111${digits(id, 4)}`, expires: '12/30' } },
    created_at: new Date(START + id * DAY_MS).toISOString(),
  }
}

/** Order `id`, from 1. */
export function order(id: number): Order {
  const of = 1 + ((id * 7) % CUSTOMER_COUNT)
  const cents = (id * 1_237) % 100_000
  return {
    id,
    customer_id: of,
    customer_email: customer(of).email,
    amount: (cents / 100).toFixed(2),
    status: pick(STATUSES, id),
  }
}

function pick<T>(list: readonly [T, ...T[]] | readonly T[], index: number): T {
  const item = list[index % list.length]
  if (item === undefined) throw new Error('an empty list')
  return item
}

function digits(value: number, length: number): string {
  return String(value % 10 ** length).padStart(length, '0')
}
