/** A wire between the gateway and ClickHouse that is slow, breaks, or answers with errors when told. */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'

export interface Wire {
  readonly url: string
  /** What happens to what is sent from now on. */
  fault: 'none' | 'slow' | 'cut' | 'error' | 'black-hole'
  close(): Promise<void>
}

/** Each chunk waits this long where the wire is slow. */
const SLOW_MS = 40

const ERROR = [
  'HTTP/1.1 500 Internal Server Error',
  'Connection: close',
  'X-ClickHouse-Exception-Code: 241',
  'Content-Length: 38',
  '',
  'Code: 241. DB::Exception: out of room.',
].join('\r\n')

/** Forwards to `target`, whose port may be taken by another process in between. */
export async function openWire(target: URL): Promise<Wire> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    keep(near)
    if (wire.fault === 'cut') return void near.destroy()
    if (wire.fault === 'error') {
      // Only once it has been asked: what was sent may have arrived for all that the sender knows.
      near.once('data', () => near.end(ERROR))
      return
    }
    if (wire.fault === 'black-hole') return void near.resume()
    const far = connect(Number(target.port), target.hostname)
    keep(far)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    pass(near, far)
    pass(far, near)
  })
  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  function pass(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (wire.fault === 'cut') {
        from.destroy()
        to.destroy()
        return
      }
      if (wire.fault === 'black-hole') return
      if (wire.fault === 'none') return void to.write(chunk)
      from.pause()
      setTimeout(() => {
        to.write(chunk)
        from.resume()
      }, SLOW_MS)
    })
    from.on('end', () => to.end())
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const wire: Wire = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: 'none',
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return wire
}
