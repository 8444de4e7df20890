import { setTimeout } from 'node:timers/promises'
import { ActorError } from 'troupe/actor'

/** The part of fetch that is needed; fetch itself fits. */
export type Fetch = (url: string, init?: Request) => Promise<Reply>

export interface Request {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly signal?: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly ok: boolean
  readonly headers: { get(name: string): string | null }
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null
}

export interface PoliteOptions {
  readonly fetch: Fetch
  /** Ms between the starts of two requests. */
  readonly spacing: number
  /** Shared by several who ask the same exchange; it goes before the spacing. */
  readonly pace?: Pace
  /** Ms for one attempt. */
  readonly timeout: number
  readonly attempts: number
  /** Bytes of one answer. */
  readonly most: number
  /** For tests: how to wait. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<unknown>
}

/** Five requests a second at most, far below what the exchange allows. */
export const politeDefaults = { spacing: 200, timeout: 15_000, attempts: 3, most: 32 * 1024 * 1024 } as const

export interface Ask {
  /** A JSON body makes it a POST. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

// Busy, restarting, or a gateway's bad moment; anything else would be refused again.
const passing = new Set([408, 425, 429, 500, 502, 503, 504])
const longestWait = 30_000

/** Lets one after the other begin, each its time after the one before. */
export type Pace = (signal?: AbortSignal) => Promise<void>

/** A pace of its own: so many ms between two beginnings. */
export function createPace(spacing: number, wait: PoliteOptions['wait'] = pause): Pace {
  let free: Promise<unknown> = Promise.resolve()
  return async (signal) => {
    const turn = free
    let open: () => void = () => undefined
    free = new Promise<void>((resolve) => {
      open = resolve
    })
    await turn
    // The next one waits its time from this start, even when this one is given up.
    wait(spacing).then(open, open)
    signal?.throwIfAborted()
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, signal && { signal })
}

/** Asks for JSON, one request after the other and never in a hurry; 404 is undefined. A refusal for where we are is final: nobody goes around it. */
export function createPolite(options: PoliteOptions): (url: string, ask?: Ask) => Promise<unknown> {
  const { spacing, attempts, wait = pause, pace: slot = createPace(spacing, wait) } = options
  return async (url, ask = {}) => {
    for (let attempt = 1; ; attempt++) {
      await slot(ask.signal)
      const answer = await tryOnce(options, url, ask)
      if (answer.ok) return answer.value
      if (!answer.isPassing || attempt >= attempts) throw failed(url, answer.detail, answer.cause)
      await wait(Math.min(answer.after ?? 500 * 2 ** attempt, longestWait), ask.signal)
    }
  }
}

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly detail: string; readonly isPassing: boolean; readonly after?: number; readonly cause?: unknown }

async function tryOnce({ fetch, timeout, most }: PoliteOptions, url: string, { body, signal }: Ask): Promise<Answer> {
  const limit = AbortSignal.timeout(timeout)
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit])
  try {
    const response = await fetch(url, { ...requestOf(body), signal: both })
    if (response.status === 404) return await dropped(response, { ok: true, value: undefined })
    if (!response.ok) return await dropped(response, refusal(response))
    return { ok: true, value: JSON.parse(await textOf(response, most)) }
  } catch (cause) {
    signal?.throwIfAborted()
    if (cause instanceof TooLarge || cause instanceof SyntaxError) return { ok: false, detail: cause.message, isPassing: false, cause }
    return { ok: false, detail: limit.aborted ? `no answer in ${timeout} ms` : String(cause), isPassing: true, cause }
  }
}

function requestOf(body: unknown): Request {
  if (body === undefined) return { headers: { accept: 'application/json' } }
  return { method: 'POST', headers: { accept: 'application/json', 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** An answer that nobody reads must not keep its connection. */
async function dropped(response: Reply, answer: Answer): Promise<Answer> {
  await response.body?.cancel()
  return answer
}

function refusal({ status, headers }: Reply): Answer {
  const isPassing = passing.has(status)
  const after = Number(headers.get('retry-after') ?? Number.NaN) * 1_000
  const place = status === 403 || status === 451 ? ' (not available from here)' : ''
  return { ok: false, detail: `status ${status}${place}`, isPassing, ...(after >= 0 && { after }) }
}

class TooLarge extends Error {}

async function textOf(response: Reply, most: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > most) throw new TooLarge(`an answer of more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function failed(url: string, detail: string, cause: unknown): ActorError {
  const { origin, pathname } = new URL(url)
  return new ActorError('SOURCE_FAILED', `${origin}${pathname}: ${detail}`, {
    ...(cause !== undefined && { cause }),
    details: { origin, pathname },
  })
}
