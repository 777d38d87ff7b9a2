/** The sandbox's warehouse: BigQuery's REST v2 API over DuckDB. `README.md` says what it answers and what it refuses. */
import { listen, partOptions, ready } from '../part.ts'
import { api } from './api.ts'
import { Engine } from './engine.ts'
import { Jobs } from './jobs.ts'

const { port, data } = partOptions()
const engine = await Engine.open(data).catch((error: unknown) => {
  const words = error instanceof Error ? error.message : 'unknown reason'
  console.error(words.includes('lock') ? `${data} is in use by another process` : `${data} cannot be opened: ${words}`)
  process.exit(1)
})
const { server, url } = await listen(api(engine, new Jobs(engine)), port)
server.requestTimeout = 0
ready('warehouse', url, () => {
  server.close()
  server.closeAllConnections()
  engine.close()
})
