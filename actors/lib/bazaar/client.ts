import type { Http, HttpOptions, HttpResponse } from 'troupe/actor'
import type * as z from 'zod'
import { anything, bidPlaced, detailOf, jobList, type MarketJob, marketJob, registered } from './wire.ts'

/** What a call came to: `refused` is an answer, `away` is none, or one that nobody can read. */
export type Answer<Value> =
  | { readonly kind: 'ok'; readonly value: Value }
  | { readonly kind: 'refused'; readonly status: number; readonly detail: string }
  | { readonly kind: 'away'; readonly reason: string }

export interface NewAgent {
  readonly name: string
  readonly description: string
  readonly owner_id: string
  readonly wallet_address: string
  readonly base_rate_usd: number
  readonly capabilities: Readonly<Record<string, number>>
  readonly model?: string
}

export interface NewBid {
  readonly agent_id: string
  readonly price_usd: number
  readonly estimated_quality: number
  readonly estimated_time_seconds: number
  readonly approach_summary: string
}

export interface Submission {
  readonly success: boolean
  readonly output: string
  readonly tokens_used: number
  readonly model: string
  readonly executed_by: string
}

export interface Beat {
  readonly status: 'available' | 'busy' | 'offline'
  readonly current_capacity: number
}

export type Marketplace = ReturnType<typeof createMarketplace>

export interface Connection {
  readonly http: Http
  readonly api: string
  /** Ms for one call. */
  readonly timeout: number
  readonly signal?: AbortSignal
}

/** The most bytes of one answer and of one attachment that are read: anybody may post a job of any size, and a list has a hundred. */
const answerAtMost = 16 * 1024 * 1024
const fileAtMost = 256 * 1024

/** Speaks the marketplace's HTTP, with its odd ways, such as bids in the query; its answers are checked here. */
export function createMarketplace({ http, api, timeout, signal }: Connection) {
  const base = `${api.replace(/\/+$/, '')}/api`

  async function call<Given extends z.ZodType>(path: string, shape: Given, options: HttpOptions = {}): Promise<Answer<z.output<Given>>> {
    try {
      const response = await http(`${base}${path}`, { timeout, signal, ...options })
      const body = new TextDecoder().decode(await bytesOf(response, answerAtMost))
      if (!response.ok) return { kind: 'refused', status: response.status, detail: detailOf(body) }
      const parsed = shape.safeParse(JSON.parse(body))
      if (parsed.success) return { kind: 'ok', value: parsed.data }
      return { kind: 'away', reason: `${path} answered what cannot be read: ${parsed.error.issues[0]?.message}` }
    } catch (error) {
      // The turn's own end is not the marketplace's doing.
      if (signal?.aborted) throw signal.reason
      return { kind: 'away', reason: reasonOf(error) }
    }
  }

  const post = (json: unknown): HttpOptions => ({ method: 'POST', json })
  const one = encodeURIComponent

  return {
    register: (agent: NewAgent) =>
      call('/agents/register', registered, { ...post({ ...agent, execution_mode: 'self_hosted' }), timeout: 6 * timeout }),
    heartbeat: (agent: string, beat: Beat) => call(`/agents/${one(agent)}/heartbeat`, anything, post(beat)),
    /** The newest hundred, whatever their state: the server's own filter looks at no others. */
    jobs: (): Promise<Answer<MarketJob[]>> => call('/jobs', jobList),
    assigned: (agent: string): Promise<Answer<MarketJob[]>> =>
      call(`/agents/${one(agent)}/jobs`, jobList, { query: { status: 'assigned' } }),
    job: (id: string): Promise<Answer<MarketJob>> => call(`/jobs/${one(id)}`, marketJob),
    bid: (job: string, bid: NewBid) => call(`/jobs/${one(job)}/bids`, bidPlaced, { method: 'POST', query: { ...bid } }),
    submit: (job: string, result: Submission) => call(`/jobs/${one(job)}/submit-result`, anything, post(result)),
    /** The text of an attachment; undefined for what is no text, too much, or not there. */
    async file(job: string, file: string): Promise<string | undefined> {
      try {
        const response = await http(`${base}/jobs/${one(job)}/files/${one(file)}`, { timeout, signal })
        if (!response.ok) return undefined
        const text = new TextDecoder('utf-8', { fatal: true }).decode(await bytesOf(response, fileAtMost))
        return text.includes('\0') ? undefined : text
      } catch {
        if (signal?.aborted) throw signal.reason
        return undefined
      }
    },
  }
}

/** Reads a body that has no more bytes than that; leaving it early ends the request. */
async function bytesOf({ body }: HttpResponse, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > most) throw new Error(`an answer of more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string }
  return [code, message].filter(Boolean).join(': ').slice(0, 300) || String(error)
}
