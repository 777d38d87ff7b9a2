/** A REST connection as the gateway knows it: what was judged, as a request of the client. */
import type { HttpConnector } from '../contract.ts'
import type { HttpStatement, Permitted } from '../../exchange.ts'
import type { RestClient, RestRequest } from './contract.ts'

/** `client` alone knows where it goes and with which credential. */
export function createRestConnector(name: string, client: RestClient): HttpConnector {
  return {
    name,
    type: 'rest',
    send: (statement, exchange, body, signal) => client.send(requestOf(statement, exchange, body), signal),
    ready: (signal) => client.ready(signal),
    close: () => client.close(),
  }
}

function requestOf(
  { kind, target, headers, body: described, masks }: HttpStatement,
  { id, principal }: Permitted,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
): RestRequest {
  return { method: kind, target, headers, principal, exchange: id, plain: masks.length > 0, ...bodyOf(body, described) }
}

/** Of a body that was changed on its way the length is not known beforehand; `described` is as it came. */
function bodyOf(
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
  described: HttpStatement['body'],
): Pick<RestRequest, 'body'> {
  if (body === undefined || body instanceof Uint8Array) return body === undefined ? {} : { body }
  const length = described?.length
  return { body: { stream: body, ...(length !== undefined && { length }) } }
}
