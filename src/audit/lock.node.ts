/**
 * One process per folder. The lock is the kernel's (SQLite's, on an empty database held in an exclusive transaction): it
 * ends with the process however that ends, and no process id that was given out again, here or in another container, can
 * be taken for the one that held it.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Failure } from '../failure.ts'

export interface FolderLock {
  release(): void
}

/** Takes the folder for this process. Throws `audit-unavailable` where another has it, or it takes no files. */
export function lockFolder(dir: string): FolderLock {
  const database = openLock(dir)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
    return { release: () => database.close() }
  } catch (cause) {
    database.close()
    throw new Failure('audit-unavailable', `the audit journal in \`${dir}\` is in use by another process`, {
      cause,
      fix: 'give each gateway its own data folder',
    })
  }
}

function openLock(dir: string): DatabaseSync {
  try {
    return new DatabaseSync(join(dir, 'lock'))
  } catch (cause) {
    throw new Failure('audit-unavailable', `the audit journal's folder \`${dir}\` takes no files`, { cause })
  }
}
