/** Methods that do the same when repeated: RFC 9110, section 9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])
/** Answers of a server, or of what stands before it, that is busy or away for a while. */
const passing = new Set([429, 502, 503, 504])
/** Failures of the network that the next try may not meet. */
const transient = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
])

const first = 250
const longest = 30_000

/** How a try went that gave nothing to the actor yet. */
export type Tried = { readonly status: number; readonly retryAfter: string | undefined } | { readonly code: string | undefined }

export type RetryInput = {
  readonly method: string
  /** The tries so far, of which this is one. */
  readonly tries: number
  readonly retries: number
  readonly random: number
  /** Ms since 1970. */
  readonly now: number
}

/** Ms after which the request is to be sent again; undefined when the actor gets what there is. A server that asks for more than 30 s is the actor's affair. */
export function retryIn(tried: Tried, { method, tries, retries, random, now }: RetryInput): number | undefined {
  if (tries > retries || !idempotent.has(method)) return undefined
  const isPassing = 'status' in tried ? passing.has(tried.status) : transient.has(tried.code ?? '')
  if (!isPassing) return undefined
  const asked = 'status' in tried ? msOf(tried.retryAfter, now) : undefined
  const delay = asked ?? first * 2 ** (tries - 1) * (0.5 + random)
  return delay > longest ? undefined : delay
}

/** Reads Retry-After: seconds or a date (RFC 9110, section 10.2.3). */
export function msOf(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1_000
  const date = Date.parse(retryAfter)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
