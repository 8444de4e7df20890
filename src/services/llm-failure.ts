/** Why a request to a model's endpoint failed, and what it means. */
export type Failure = {
  /** `transient` the same request may work later · `refused` it will not · `denied` the endpoint wants another key, or money. */
  readonly kind: 'transient' | 'refused' | 'denied'
  readonly text: string
  readonly status: number | undefined
  /** Ms that the endpoint asks to wait. */
  readonly retryAfter: number | undefined
  /** The model may have worked on it, and somebody may have to pay for that. */
  readonly isPaid: boolean
}

type Linked = { readonly code?: unknown; readonly message?: unknown; readonly cause?: unknown }

/** What fails before a request has left. */
const unsent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|.*CERT.*)$/

/** A request that failed, in words that are safe to show. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'
  readonly failure: Failure

  // No cause: the SDK would look into it and make an error of its own, with the whole request in it.
  constructor(failure: Failure) {
    super(failure.text)
    this.failure = failure
  }
}

/** What a status means that is no success. `said` is what the endpoint said about it. */
export function failureOfStatus(status: number, said: string, retryAfter: number | undefined): Failure {
  const isTransient = status === 408 || status === 429 || status >= 500
  // Not 403: some say it of a prompt that they will not answer, and a stranger's text may not block an agent.
  const isDenied = status === 401 || status === 402
  return {
    kind: isTransient ? 'transient' : isDenied ? 'denied' : 'refused',
    text: `it answered ${status}${said === '' ? '' : `: ${said}`}`,
    status,
    retryAfter,
    isPaid: false,
  }
}

/** What an error of a connection means: its codes are those of its causes too. */
export function failureOfConnection(error: unknown): Failure {
  const chain = causesOf(error)
  const isPaid = !chain.some(({ code }) => typeof code === 'string' && unsent.test(code))
  const words = String(chain.at(-1)?.message ?? error)
  return {
    kind: 'transient',
    text: `${isPaid ? 'the connection broke' : 'no connection'}: ${words}`,
    status: undefined,
    retryAfter: undefined,
    isPaid,
  }
}

/** What an answer means that is not of the protocol; a text that is not even JSON may be the half of one. */
export function failureOfAnswer(text: string, kind: 'transient' | 'refused'): Failure {
  return { kind, text, status: undefined, retryAfter: undefined, isPaid: true }
}

/** Ms of a Retry-After header, which has seconds or a date; undefined for anything else. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  const text = header?.trim()
  if (!text) return undefined
  const ms = /^\d+(\.\d+)?$/.test(text) ? Math.ceil(Number(text) * 1_000) : Date.parse(text) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

function causesOf(error: unknown): Linked[] {
  const chain: Linked[] = []
  for (let one = error; typeof one === 'object' && one !== null && chain.length < 5; one = (one as Linked).cause) chain.push(one)
  return chain
}
