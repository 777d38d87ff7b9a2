/** The arithmetic of budgets. Pure: a store calls it inside the transaction that reads and writes what it is about. */
import { BUDGETS, type Amounts, type Budget } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { Reservation, Reserved, Settlement } from './contract.ts'

/** What one job was charged, and who still reads its answer. */
export interface Account {
  readonly charged: Amounts
  /** The most that a reader who has settled says was spent. */
  readonly spent: Amounts
  readonly readers: readonly string[]
  /** Once it was read to its end: no reader can get more than `spent`. */
  readonly whole: boolean
}

/** What a step does: the account as it is then, and by how much each counter moves. */
export interface Step {
  readonly account: Account
  readonly moves: Amounts
}

/** Sets aside what `before` was not charged yet, or says which budget has no room for it. */
export function reserved(
  before: Account | undefined,
  { amounts, limits, reader }: Reservation,
  used: (budget: Budget) => number,
): Step | Exclude<Reserved, { granted: true }> {
  if (before?.whole === true) return { account: before, moves: {} }
  const charged: Record<string, number> = { ...before?.charged }
  const moves: Record<string, number> = {}
  for (const budget of BUDGETS) {
    const amount = amounts[budget]
    const limit = limits[budget]
    if (amount === undefined && limit === undefined) continue
    const asked = checked(amount) - (before?.charged[budget] ?? 0)
    // Charged already, or nothing to charge: a statement that answers no rows needs no budget of rows.
    if (asked <= 0 && before !== undefined) continue
    const now = used(budget)
    if (asked > 0 && !(now + asked <= checked(limit))) {
      return { granted: false, budget, limit: checked(limit), used: now, asked }
    }
    charged[budget] = checked(amount)
    moves[budget] = asked
  }
  const readers = [...new Set([...(before?.readers ?? []), reader])]
  return { account: { charged, spent: before?.spent ?? {}, readers, whole: false }, moves }
}

/** The account once `reader` has said what it spent; `undefined` where it does not read, or has said so before. */
export function settled(before: Account, { reader, spent, whole }: Settlement): Step | undefined {
  if (!before.readers.includes(reader)) return undefined
  const readers = before.readers.filter((other) => other !== reader)
  const most: Record<string, number> = {}
  const charged: Record<string, number> = {}
  const moves: Record<string, number> = {}
  for (const budget of BUDGETS) {
    const was = before.charged[budget]
    if (was === undefined) continue
    const truth = Math.max(before.spent[budget] ?? 0, spent[budget] === undefined ? was : checked(spent[budget]))
    // While others read, what they were promised stays set aside.
    const now = readers.length === 0 ? truth : Math.max(was, truth)
    most[budget] = truth
    charged[budget] = now
    if (now !== was) moves[budget] = now - was
  }
  return { account: { charged, spent: most, readers, whole: whole || before.whole }, moves }
}

function checked(amount: number | undefined): number {
  if (amount !== undefined && Number.isSafeInteger(amount) && amount >= 0) return amount
  throw new Failure('internal', 'a budget is counted in whole numbers')
}
