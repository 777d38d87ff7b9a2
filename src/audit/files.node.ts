/** What the journal asks of a file system, and the real one. Small, so that tests can hand in one that fails. */
import { mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

/** A file that is written to. */
export interface Appendable {
  /** Resolves with how many of the bytes were written; perhaps not all. */
  write(bytes: Uint8Array, position: number): Promise<number>
  /** Resolves when what was written is on the disk (`fdatasync`). */
  sync(): Promise<void>
  close(): Promise<void>
}

/** One folder. Names are plain names in it. */
export interface Files {
  /** Makes it, or empties what is there. */
  create(name: string): Promise<Appendable>
  /** One that is there, to write to it at any place. */
  reopen(name: string): Promise<Appendable>
  /** Bytes from a place on; fewer where the file ends. */
  readAt(name: string, position: number, length: number): Promise<Uint8Array>
  /** The file's first bytes, at most `most`; all without. */
  read(name: string, most?: number): Promise<Uint8Array>
  list(): Promise<readonly string[]>
  /** Over what is there. */
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  /** Resolves when names that were made, renamed or removed are so on the disk. */
  syncFolder(): Promise<void>
}

/** The files of `dir`, which is made, readable by its owner alone. */
export async function filesIn(dir: string): Promise<Files> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  return {
    create: async (name) => appendable(await open(join(dir, name), 'w', 0o600)),
    reopen: async (name) => appendable(await open(join(dir, name), 'r+')),
    async readAt(name, position, length) {
      const file = await open(join(dir, name), 'r')
      try {
        const bytes = new Uint8Array(length)
        const { bytesRead } = await file.read(bytes, 0, length, position)
        return bytes.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    },
    async read(name, most) {
      const file = await open(join(dir, name), 'r')
      try {
        if (most === undefined) return await file.readFile()
        const bytes = new Uint8Array(most)
        const { bytesRead } = await file.read(bytes, 0, most, 0)
        return bytes.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    },
    list: () => readdir(dir),
    rename: (from, to) => rename(join(dir, from), join(dir, to)),
    remove: (name) => unlink(join(dir, name)),
    async syncFolder() {
      const folder = await open(dir, 'r')
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    },
  }
}

function appendable(file: FileHandle): Appendable {
  return {
    write: async (bytes, position) => (await file.write(bytes, 0, bytes.length, position)).bytesWritten,
    sync: () => file.datasync(),
    close: () => file.close(),
  }
}

/** Writes all of it. Rejects where the file takes no more. */
export async function writeAll(file: Appendable, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const written = await file.write(bytes.subarray(done), position + done)
    if (written <= 0) throw new Error('the file takes no more bytes')
    done += written
  }
}
