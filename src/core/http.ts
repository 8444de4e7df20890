/** What ctx.http may be told; `json` is a body that is written as JSON. */
export interface HttpOptions {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined
  /** Appended to the address. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[] | undefined>> | undefined
  readonly body?:
    | string
    | Uint8Array
    | ArrayBuffer
    | URLSearchParams
    | Blob
    | FormData
    | AsyncIterable<string | Uint8Array>
    | null
    | undefined
  readonly json?: unknown
  /** The turn's own signal counts in any case. */
  readonly signal?: AbortSignal | undefined
  /** Ms for all of it, the body's end included. */
  readonly timeout?: number | undefined
  /** `follow` unless told otherwise: at most five addresses, each of which the actor must be allowed to reach. */
  readonly redirect?: 'follow' | 'manual' | undefined
}

/** An answer, as soon as its head is there. Its body can be read once. */
export interface HttpResponse {
  readonly status: number
  /** 200 to 299. */
  readonly ok: boolean
  /** Where it came from in the end. */
  readonly url: string
  /** By name in lower case; repeated ones in one line, joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  /** As they came, one by one. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[]
  /** The body in chunks as they arrive, decompressed. Whoever leaves the loop early ends the request. */
  readonly body: AsyncIterable<Uint8Array>
  bytes(): Promise<Uint8Array>
  text(): Promise<string>
  /** Throws a SyntaxError for what is no JSON. */
  json(): Promise<unknown>
}

/** Sends a request through the host's pool. Rejects like fetch's cause would be: with the network's error, the signal's reason, or ORIGIN_DENIED. */
export type Http = (url: string | URL, options?: HttpOptions) => Promise<HttpResponse>
