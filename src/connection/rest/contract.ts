/** What a REST connection sends, and what comes back: bytes, and nothing that the gateway did not choose. */
import type { Principal } from '../../exchange.ts'

/** One request, as it was judged. Built from an allow-list: nothing of the caller's request passes that is not in it. */
export interface RestRequest {
  /** Upper case. */
  readonly method: string
  /** Path and query under the base URL, byte for byte as they were judged: `/customers/42?fields=name`. */
  readonly target: string
  /** Lower-case names; already filtered by `forwardable`. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Absent: no body. Whole where it is small, else a stream that is read once, of `length` bytes where that is known. */
  readonly body?: Uint8Array | { readonly stream: AsyncIterable<Uint8Array>; readonly length?: number }
  readonly principal: Principal
  /** Of the exchange; sent as `traceparent`'s trace id and as `X-Request-Id`. */
  readonly exchange: string
  /** Whether the upstream should be asked not to compress: what is masked has to be read. */
  readonly plain: boolean
}

/** An answer on its way. `body` MUST be read to its end or returned early; returning early closes the connection. */
export interface RestReply {
  readonly status: number
  /** Lower-case names; only those that may pass to the caller. `content-encoding` and `content-length` are not among them. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** As declared, lower case, without parameters; '' where none is declared. */
  readonly contentType: string
  /** Its `charset` parameter, lower case. */
  readonly charset?: string
  /** Bytes of the body as they travelled, where the upstream said so and it was not encoded. */
  readonly length?: number
  /** Decoded: gzip, br, zstd and deflate are undone, within the bounds on ratio and size. */
  readonly body: AsyncIterable<Uint8Array>
}

/** A configured REST upstream: its one base URL, its credential, its pool. */
export interface RestClient {
  /**
   * Sends it, once. A safe or idempotent request whose connection failed before a byte of it went out is sent again.
   * Rejects with `upstream-failed`, `upstream-late`, or `upstream-refused` where nothing was sent on purpose
   * (an address that is not allowed, a credential that cannot be had).
   */
  send(request: RestRequest, signal: AbortSignal): Promise<RestReply>
  /** Resolves when a connection can be opened. */
  ready(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
