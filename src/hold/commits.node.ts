/**
 * Group commit: writes of one turn share one transaction and one fsync, each behind a savepoint of its own, and are
 * answered once the transaction is on disk.
 */
import type { DatabaseSync } from 'node:sqlite'
import { Failure } from '../failure.ts'

interface Write {
  run(): unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Writes that may wait at once, and writes in one transaction. */
const WAITING = 10_000
const TOGETHER = 500

export class Commits {
  readonly #database: DatabaseSync
  #queue: Write[] = []
  #scheduled = false

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Runs `run` in a transaction; resolves with what it gave once that is durable. */
  write<Value>(run: () => Value): Promise<Value> {
    if (this.#queue.length >= WAITING) {
      return Promise.reject(
        new Failure('store-unavailable', 'too many changes wait for the state store', { retryAfter: 1 }),
      )
    }
    return new Promise<Value>((resolve, reject) => {
      this.#queue.push({ run, resolve: (value) => resolve(value as Value), reject })
      this.#schedule()
    })
  }

  /** Commits what waits. */
  flush(): void {
    while (this.#queue.length > 0) this.#commit()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#commit()
      if (this.#queue.length > 0) this.#schedule()
    })
  }

  #commit(): void {
    const writes = this.#queue.splice(0, TOGETHER)
    if (writes.length === 0) return
    const answers: (() => void)[] = []
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const write of writes) answers.push(this.#attempt(write))
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      for (const write of writes) write.reject(error)
      return
    }
    for (const answer of answers) answer()
  }

  /** One write that fails takes back what it did itself, and nothing of the others. */
  #attempt(write: Write): () => void {
    this.#database.exec('SAVEPOINT one')
    try {
      const value = write.run()
      this.#database.exec('RELEASE one')
      return () => write.resolve(value)
    } catch (error) {
      // A full disk ends the whole transaction, and then there is nothing to go back to.
      if (!this.#database.isTransaction) throw error
      this.#database.exec('ROLLBACK TO one')
      this.#database.exec('RELEASE one')
      return () => write.reject(error)
    }
  }
}
