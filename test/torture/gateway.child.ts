/**
 * The real gateway over a disk that fails when told: one word per line on standard input. `full`: no write takes anything;
 * `eio`: no sync succeeds; `slow`: each sync waits; `well`: none of it. It ends with its standard input.
 */
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { filesIn, type Files } from '../../src/audit/files.node.ts'
import { loadConfig, serve } from '../../src/entry/node.ts'

let disk = 'well'
const SLOW_MS = 300

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

async function files(dir: string): Promise<Files> {
  const real = await filesIn(dir)
  return {
    ...real,
    async create(name) {
      if (disk === 'full') throw systemError('ENOSPC')
      const file = await real.create(name)
      return {
        ...file,
        write: async (bytes, position) => {
          if (disk !== 'full') return file.write(bytes, position)
          // Half of it still went: the worst that a full disk does.
          await file.write(bytes.subarray(0, bytes.length >> 1), position)
          throw systemError('ENOSPC')
        },
        sync: async () => {
          if (disk === 'slow') await wait(SLOW_MS)
          if (disk === 'eio') throw systemError('EIO')
          await file.sync()
        },
      }
    },
  }
}

createInterface({ input: process.stdin }).on('line', (line) => (disk = line))
const serving = await serve(await loadConfig(process.argv[2] ?? 'sluice.yaml'), { files })
console.log(`listening ${serving.url}`)
const stop = (): void => void serving.stop().then(() => process.exit(0))
process.on('SIGTERM', stop)
process.stdin.on('end', stop)
