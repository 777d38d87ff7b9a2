/** `sluice audit export`: an evidence pack from a running gateway, checked against its own manifest while it comes. */
import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'
import { access, readFile, rename, rm } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { checkPack, type CheckedPack } from '../../audit/evidence/unpack.ts'
import { asFailure } from '../../failure.ts'
import type { Hasher } from '../../runtime.ts'
import { loadConfig, Refusal } from '../node.ts'
import { argumentsOf, type Command } from './command.ts'

export const auditExport: Command = {
  name: 'audit export',
  takes: '--from DAY [--to DAY] [--control CC6.1,…] [--format ndjson|parquet] [--connections a,b] --out FILE',
  about: 'an evidence pack of a span of time, from the running gateway; the token of an auditor is in SLUICE_TOKEN',
  async run(args) {
    const { values } = argumentsOf(args, {
      from: { type: 'string' },
      to: { type: 'string' },
      control: { type: 'string' },
      format: { type: 'string' },
      connections: { type: 'string' },
      out: { type: 'string' },
      url: { type: 'string' },
      'token-file': { type: 'string' },
    })
    const { out, from } = values
    if (out === undefined) throw new Refusal('name the file that the pack becomes with --out')
    if (from === undefined) throw new Refusal('say from when on with --from: a day, `2026-09-01`, or days back, `30d`')
    if (await exists(out)) throw new Refusal(`there is a file ${out} already`)
    const query = queryOf({ ...values, from })
    const url = new URL(`/v1/audit/export?${query}`, values.url ?? (await gatewayOf(values.config)))
    const answer = await ask(url, await tokenOf(values['token-file']))
    const { pack, digest, bytes } = await save(answer, out)
    console.log(
      `${out}: ${pack.files.length} files, ${size(bytes)}, ${pack.from} to ${pack.to}, in order by its manifest`,
    )
    console.log(`sha256 ${digest}`)
    if (pack.verifiable) console.log(`check it with: sluice audit verify ${out} --key VKEY`)
    return 0
  },
}

/** `30d` is a span back from now; all else is for the gateway to understand. */
function momentOf(text: string): string {
  const [, days] = /^(\d{1,4})d$/.exec(text) ?? []
  return days === undefined ? text : new Date(Date.now() - Number(days) * 86_400_000).toISOString()
}

function queryOf(values: {
  readonly from: string
  readonly to?: string | undefined
  readonly control?: string | undefined
  readonly format?: string | undefined
  readonly connections?: string | undefined
}): URLSearchParams {
  const { from, to, control, format, connections } = values
  return new URLSearchParams({
    from: momentOf(from),
    ...(to !== undefined && { to: momentOf(to) }),
    ...(format !== undefined && { format }),
    ...(control !== undefined && { controls: control }),
    ...(connections !== undefined && { connections }),
  })
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

async function ask(url: URL, token: string): Promise<Response> {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, redirect: 'error' }).catch(
    (cause: unknown) => {
      throw new Refusal(`${url.origin} does not answer`, { cause })
    },
  )
  if (answer.status === 200 && answer.body !== null) return answer
  const problem = (await answer.json().catch(() => ({}))) as { detail?: unknown; fix?: unknown }
  const words = [problem.detail, problem.fix].filter((part) => typeof part === 'string')
  throw new Refusal([`the gateway answered ${answer.status}`, ...words].join('\n'))
}

/** Writes the pack beside its place, and moves it there once it is whole and in order; of a pack that is not, nothing stays. */
async function save(answer: Response, out: string): Promise<{ pack: CheckedPack; digest: string; bytes: number }> {
  const draft = `${out}.part`
  const file = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true })
  const whole = createHash('sha256')
  const progress = new Progress(Number(answer.headers.get('Sluice-Export-Records') ?? 0))
  let bytes = 0
  try {
    const saved = new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        whole.update(chunk)
        bytes += chunk.length
        if (!file.write(chunk)) await room(file)
        if (file.errored !== null) throw file.errored
        controller.enqueue(chunk)
      },
    })
    const body = answer.body ?? new ReadableStream<Uint8Array>()
    const pack = await checkPack(body.pipeThrough(saved), startHash, ({ path }) => progress.show(path, bytes))
    file.end()
    await finished(file)
    progress.end()
    await rename(draft, out)
    return { pack, digest: whole.digest('hex'), bytes }
  } catch (error) {
    file.destroy()
    progress.end()
    await rm(draft, { force: true })
    throw new Refusal(`the pack did not come whole: ${asFailure(error).message}`, { cause: error })
  }
}

/** Resolves when the file takes more, or never will. */
function room(file: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    file.once('drain', resolve)
    file.once('close', resolve)
  })
}

function startHash(): Hasher {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
}

/** How far it is, on standard error: one line that is written over, or now and then a line. */
class Progress {
  readonly #began = Date.now()
  #files = 0
  #shown = 0

  constructor(records: number) {
    console.error(`${records.toLocaleString('en')} records`)
  }

  show(path: string, bytes: number): void {
    this.#files++
    const now = Date.now()
    if (now - this.#shown < (process.stderr.isTTY ? 100 : 5_000)) return
    this.#shown = now
    const seconds = Math.round((now - this.#began) / 1000)
    const line = `${size(bytes)}, ${this.#files} files, ${seconds} s: ${path}`
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`)
    else console.error(line)
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001B[2K')
  }
}

function size(bytes: number): string {
  return bytes < 1024 ** 2 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
