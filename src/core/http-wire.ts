/**
 * What crosses the port of the shared HTTP pool, one port per incarnation. A frame is a few items in a row, [op, id, ...], and the
 * frames of one round of the event loop travel as one flat array: nested arrays cost twice as much. Bytes are moved; short ones
 * are latin1 strings, which are cheaper than buffers of their own.
 */
export type Bytes = string | Uint8Array

/** Why a request has failed, as data; `fields` are those of a system error, such as syscall and port. */
export type HttpFailure = {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly fields?: Readonly<Record<string, unknown>>
  /** Registered symbols that say of which of undici's classes it is. */
  readonly marks?: readonly string[]
  readonly cause?: HttpFailure
  readonly errors?: readonly HttpFailure[]
}

/** Names and values in turn, as they stood on the wire. */
export type RawHeaders = readonly string[]

/** What a request may say beside its method, address, headers and body; durations in ms. */
export type RequestLimits = { readonly headersTimeout?: number; readonly bodyTimeout?: number }

/** From an actor's thread. A number says how many items a frame has, its op and id included. */
export const toHost = {
  /** id, method, origin, path, headers as text, body (null, bytes, or true for one that follows), limits or null */
  open: { op: 1, items: 8 },
  /** id, bytes */
  data: { op: 2, items: 3 },
  /** id: the body has ended. */
  end: { op: 3, items: 2 },
  /** id: nobody wants the answer any more. */
  abort: { op: 4, items: 2 },
  /** id, bytes of the answer that were taken. */
  ack: { op: 5, items: 3 },
} as const

/** To an actor's thread. */
export const toActor = {
  /** id, status, its text, headers as text */
  head: { op: 1, items: 5 },
  /** id, bytes */
  data: { op: 2, items: 3 },
  /** id, trailers as text */
  end: { op: 3, items: 3 },
  /** id, HttpFailure */
  fail: { op: 4, items: 3 },
  /** id: there is room for one more chunk of the body. */
  more: { op: 5, items: 2 },
  /** id, status, its text, headers as text, body as a latin1 string: a short answer without trailers that came at once. */
  whole: { op: 6, items: 6 },
} as const

export const httpLimits = {
  /** Bytes of a request's body that go with its head; only such requests are repeated. */
  inline: 2 ** 16,
  /** Chunks of a longer body that may be under way. */
  chunks: 4,
  chunk: 2 ** 16,
  /** Bytes of an answer that are confirmed at a time, and that may be unconfirmed before the socket is paused. */
  ack: 2 ** 17,
  window: 2 ** 19,
  /** Bytes that travel as a string. */
  short: 2 ** 11,
} as const

/** Takes a flat array apart; false when it is none of ours. */
export function eachFrame(
  frames: unknown,
  sizes: ReadonlyMap<unknown, number>,
  take: (op: number, id: number, at: number) => void,
): boolean {
  if (!Array.isArray(frames)) return false
  for (let at = 0; at < frames.length; ) {
    const size = sizes.get(frames[at])
    if (size === undefined || typeof frames[at + 1] !== 'number' || at + size > frames.length) return false
    take(frames[at], frames[at + 1], at)
    at += size
  }
  return true
}

/** How many items a frame of each op has. */
export function sizesOf(ops: Readonly<Record<string, { readonly op: number; readonly items: number }>>): ReadonlyMap<unknown, number> {
  return new Map(Object.values(ops).map(({ op, items }) => [op, items]))
}

/** Header names and values hold no line end: those of an actor are checked when they are written, those of an answer by its parser. */
export function packHeaders(headers: RawHeaders): string {
  return headers.join('\n')
}

export function unpackHeaders(text: string): string[] {
  return text === '' ? [] : text.split('\n')
}
