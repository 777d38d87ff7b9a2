/**
 * `sluice replay ID`: an exchange as it happened, in a terminal. It comes from a running gateway, which records who looked; there
 * is no way around that here.
 */
import { readFile } from 'node:fs/promises'
import * as readline from 'node:readline'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { createPainter } from '../replay/paint.ts'
import { loadConfig, Refusal } from '../node.ts'
import { argumentsOf, type Command } from './command.ts'

const OPTIONS = {
  speed: { type: 'string', default: '1' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export const replay: Command = {
  name: 'replay',
  takes: 'ID [--speed 1|10|max] [--json] [--url URL]',
  about: 'show an exchange as it happened, at its own pace; the token of an auditor is in SLUICE_TOKEN',
  async run(args) {
    const { values, positionals } = argumentsOf(args, OPTIONS)
    const [id] = positionals
    if (id === undefined || positionals.length > 1 || !UUID.test(id)) {
      throw new Refusal('name one exchange: sluice replay ID\nit is the `Sluice-Exchange` header of an answer')
    }
    const gateway = values.url ?? (await gatewayOf(values.config))
    const url = new URL(`/v1/audit/exchanges/${id}/replay?speed=${encodeURIComponent(values.speed)}`, gateway)
    const answer = await ask(url, await tokenOf(values['token-file']))
    const painter = createPainter(process.stdout.isTTY && process.env['NO_COLOR'] === undefined)
    let last: string | undefined
    for await (const line of linesOf(answer)) {
      const event = eventOf(line)
      last = event.event
      process.stdout.write(values.json ? `${line}\n` : painter.paint(event))
    }
    if (last === 'end') return 0
    throw new Refusal('the replay broke off before its end')
  },
}

const UUID = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

/** Lines as they come. */
async function* linesOf({ body }: Response): AsyncGenerator<string> {
  if (body === null) return
  const input = Readable.fromWeb(body as ReadableStream)
  try {
    yield* readline.createInterface({ input, crlfDelay: Infinity })
  } catch (cause) {
    throw new Refusal('the replay broke off before its end', { cause })
  }
}

function eventOf(line: string): { readonly at: number; readonly event: string } {
  const event: unknown = JSON.parse(line)
  if (typeof event === 'object' && event !== null && 'at' in event && 'event' in event) {
    return { ...event, at: Number(event.at), event: String(event.event) }
  }
  throw new Refusal('the gateway answered with something else than a replay')
}

async function ask(url: URL, token: string): Promise<Response> {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, redirect: 'error' }).catch(
    (cause: unknown) => {
      throw new Refusal(`${url.origin} does not answer`, { cause })
    },
  )
  if (answer.status === 200) return answer
  const problem = (await answer.json().catch(() => ({}))) as { detail?: unknown; fix?: unknown }
  const words = [problem.detail, problem.fix].filter((part) => typeof part === 'string')
  throw new Refusal([`the gateway answered ${answer.status}`, ...words].join('\n'))
}

/** Where the configured gateway listens, as seen from its own machine. */
async function gatewayOf(config: string): Promise<string> {
  const { host, port } = (await loadConfig(config)).config.listeners.gateway
  if (port === 0) throw new Refusal('the gateway listens on a port of its choice: name it with --url')
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** Never an argument: those are seen by whoever lists processes. */
async function tokenOf(file: string | undefined): Promise<string> {
  const token = file === undefined ? process.env['SLUICE_TOKEN'] : await readFile(file, 'utf8').catch(unreadable(file))
  if (token === undefined || token.trim() === '') {
    throw new Refusal("an auditor's token is needed: in SLUICE_TOKEN, or in a file named with --token-file")
  }
  return token.trim()
}

function unreadable(file: string): (cause: NodeJS.ErrnoException) => never {
  return (cause) => {
    throw new Refusal(`${file} cannot be read: ${cause.code}`, { cause })
  }
}
