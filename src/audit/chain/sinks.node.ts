/** Where checkpoints go on this machine, and to ClickHouse. */
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClickHouse } from '../reader/contract.ts'
import { ByteWriter, millis, uuid, word, text, count } from '../rowbinary.ts'
import { CHECKPOINT_COLUMNS, type Migrator } from '../schema.ts'
import type { Checkpoint, CheckpointSink } from './contract.ts'

/** What stands behind each checkpoint of a file. */
const END = '---\n'

/** One file a day, each checkpoint behind a line `---`; synced before it counts as taken. */
export function fileSink(dir: string): CheckpointSink {
  return {
    name: 'checkpoint-files',
    async take({ note, signedAt }) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const day = new Date(signedAt).toISOString().slice(0, 10)
      const file = await open(join(dir, `checkpoints-${day}.txt`), 'a+', 0o600)
      try {
        // One that a crash cut short stays what it is, and spoils none behind it.
        const before = (await endsWell(file)) ? '' : `\n${END}`
        await file.write(`${before}${note}${END}`)
        await file.datasync()
      } finally {
        await file.close()
      }
    },
  }
}

async function endsWell(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return true
  const { buffer, bytesRead } = await file.read(Buffer.alloc(END.length), 0, END.length, Math.max(0, size - END.length))
  return buffer.toString('latin1', 0, bytesRead) === END
}

/** A line of JSON each: whatever collects this process's output keeps them elsewhere. */
export function lineSink(write: (line: string) => void): CheckpointSink {
  return {
    name: 'checkpoint-stdout',
    async take({ origin, size, signedAt, note }) {
      write(JSON.stringify({ checkpoint: { origin, size, signedAt: new Date(signedAt).toISOString(), note } }))
    },
  }
}

/** The table `checkpoints`: for auditors, beside what must not be where the records are. */
export function clickHouseSink(
  inserter: Pick<ClickHouse, 'insertRowBinary'>,
  migrator: Migrator,
  database: string,
): CheckpointSink {
  return {
    name: 'checkpoint-clickhouse',
    async take(checkpoint, signal) {
      await migrator(signal)
      const { epoch, size, signedAt } = checkpoint
      const columns = CHECKPOINT_COLUMNS.map(([name]) => name)
      const token = `${epoch}:checkpoint:${size}:${signedAt}`
      await inserter.insertRowBinary(`${database}.checkpoints`, columns, rowOf(checkpoint), token, signal)
    },
  }
}

/** In the order of CHECKPOINT_COLUMNS. */
function rowOf({ origin, writer, epoch, size, root, signedAt, note }: Checkpoint): Uint8Array {
  const to = new ByteWriter()
  word.write(to, origin)
  word.write(to, writer)
  uuid.write(to, epoch)
  count.write(to, size)
  text.write(to, root)
  millis.write(to, Math.round(signedAt))
  text.write(to, note)
  return to.done()
}
