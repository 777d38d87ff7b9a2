import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Runs a writer until it has acknowledged `enough` records, kills it in the middle of more, and says which they were. `clickhouse`: URL and database. */
export async function killedWriter(
  dir: string,
  first: number,
  enough: number,
  clickhouse: readonly string[] = [],
): Promise<readonly number[]> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'writer.child.ts'), dir, String(first), ...clickhouse],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let said = ''
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    for (const byte of chunk) if (byte === 10) lines++
    if (lines >= enough) child.kill('SIGKILL')
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== null) throw new Error(`the writer ended by itself with ${code}`)
  return said.slice(0, said.lastIndexOf('\n')).split('\n').map(Number)
}
