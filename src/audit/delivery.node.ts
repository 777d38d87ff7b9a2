/**
 * Who is handed a journal's sealed segments, each at its own pace. A segment is removed once all of them have it: one that
 * is away for hours keeps what it has not had, and nothing of what the others have is sent to them again after a restart.
 */
import { writeAll, type Files } from './files.node.ts'
import type { Journal, SealedSegment } from './journal.node.ts'
import type { Segments } from './ship.ts'

/** Records how far a destination has come: `<epoch> <segment>`. */
const cursorOf = (name: string): string => `cursor-${name}`

/** How far a destination had come in the journal of this epoch when that was last kept; 0 where nothing says so. */
export async function keptPosition(files: Files, name: string, epoch: string): Promise<number> {
  if (!(await files.list()).includes(cursorOf(name))) return 0
  const [of, segment] = new TextDecoder().decode(await files.read(cursorOf(name), 100)).split(' ')
  const position = of === epoch ? Number(segment) : 0
  // A cursor that cannot be read is none: what was delivered is delivered again.
  return Number.isSafeInteger(position) && position >= 0 ? position : 0
}

export class Deliveries {
  readonly #journal: Journal
  readonly #files: Files
  readonly #positions: Map<string, number>
  readonly #damaged = new Set<number>()
  /** Removals, one behind the other. */
  #tidying: Promise<void> = Promise.resolve()
  /** Called when a destination has got on: those behind it may have work. */
  onDelivered: () => void = () => {}

  private constructor(journal: Journal, files: Files, positions: Map<string, number>) {
    this.#journal = journal
    this.#files = files
    this.#positions = positions
  }

  /**
   * `names` are all destinations that a segment must reach before it is removed. Of none, nothing is ever removed. `known`
   * are positions that somebody knows better than their cursors.
   */
  static async open(
    journal: Journal,
    files: Files,
    names: readonly string[],
    known: ReadonlyMap<string, number> = new Map(),
  ): Promise<Deliveries> {
    const positions = new Map<string, number>()
    for (const name of names) {
      positions.set(name, known.get(name) ?? (await keptPosition(files, name, journal.epoch)))
    }
    return new Deliveries(journal, files, positions)
  }

  /** What this destination still has to take; `behind` another: only what that one has taken. */
  of(name: string, behind?: string): Segments<SealedSegment> {
    return {
      oldest: () => {
        const next = this.#journal.next(this.#position(name))
        if (next === undefined || behind === undefined) return next
        return next.segment <= this.#position(behind) ? next : undefined
      },
      read: (sealed) => this.#journal.read(sealed),
      delivered: (sealed) => this.#moveOn(name, sealed),
      setAside: (sealed) => {
        this.#damaged.add(sealed.segment)
        return this.#moveOn(name, sealed)
      },
    }
  }

  /** Records that are in the journal and that this destination does not have. */
  lagOf(name: string): number {
    return this.#journal.recordsBehind(this.#position(name))
  }

  /** Sealed segments that none of these destinations has. */
  waitingFor(names: readonly string[]): number {
    return this.#journal.segmentsBehind(Math.max(0, ...names.map((name) => this.#position(name))))
  }

  #position(name: string): number {
    const position = this.#positions.get(name)
    if (position === undefined) throw new Error(`no destination ${name}`)
    return position
  }

  async #moveOn(name: string, { segment }: SealedSegment): Promise<void> {
    const before = this.#position(name)
    await this.#keep(name, segment)
    this.#positions.set(name, segment)
    try {
      this.#tidying = this.#tidying.catch(() => {}).then(() => this.#tidy())
      await this.#tidying
    } catch (error) {
      // What cannot be removed is delivered again, and its removal tried again with it.
      this.#positions.set(name, before)
      throw error
    }
    this.#journal.taken()
    this.onDelivered()
  }

  async #keep(name: string, segment: number): Promise<void> {
    const draft = `${cursorOf(name)}.tmp`
    const file = await this.#files.create(draft)
    try {
      await writeAll(file, new TextEncoder().encode(`${this.#journal.epoch} ${segment}`), 0)
    } finally {
      await file.close()
    }
    await this.#files.rename(draft, cursorOf(name))
  }

  async #tidy(): Promise<void> {
    const all = Math.min(...this.#positions.values())
    for (
      let sealed = this.#journal.next(0);
      sealed !== undefined && sealed.segment <= all;
      sealed = this.#journal.next(0)
    ) {
      if (this.#damaged.has(sealed.segment)) await this.#journal.setAside(sealed)
      else await this.#journal.delivered(sealed)
    }
  }
}
