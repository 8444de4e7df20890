import { ActorError } from '../core/errors.ts'
import type { LlmEndpoint } from '../sources/llm-environment.ts'
import { type Failure, failureOfAnswer, failureOfConnection, failureOfStatus, parseRetryAfter, RequestFailed } from './llm-failure.ts'

type Answer = { readonly status: number; readonly retryAfter: number | undefined; readonly text: string }

/** Bytes of one answer; a hundred thousand tokens are less. */
const answerLimit = 4 * 2 ** 20
const shownLimit = 500

/**
 * Makes the fetch that the SDK gets: whole answers of bounded size, RequestFailed for everything else, and nowhere the key. It
 * follows no redirect: a key is for one place.
 */
export function createTransport(fetch: typeof globalThis.fetch, { key }: LlmEndpoint, now: () => number): typeof globalThis.fetch {
  const hide = (text: string) => (key === undefined ? text : text.replaceAll(key, '[key]'))
  const failed = (failure: Failure) => new RequestFailed({ ...failure, text: hide(failure.text).slice(0, shownLimit) })

  async function guarded<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      throw error instanceof ActorError || error instanceof RequestFailed ? error : failed(failureOfConnection(error))
    }
  }

  async function read(response: Response): Promise<Answer> {
    const head = { status: response.status, retryAfter: parseRetryAfter(response.headers.get('retry-after'), now()) }
    try {
      return { ...head, text: hide(await guarded(() => textOf(response))) }
    } catch (error) {
      // What an error means is said by its status, whatever became of its words.
      if (!isSuccess(head)) return { ...head, text: '' }
      // The head had come, so the model had worked.
      throw error instanceof RequestFailed ? new RequestFailed({ ...error.failure, isPaid: true }) : error
    }
  }

  return async (input, init = {}) => {
    const headers = new Headers(init.headers)
    if (key === undefined) headers.delete('authorization')
    const answer = await read(await guarded(() => fetch(input, { ...init, headers, redirect: 'manual' })))
    const { status, retryAfter, text } = answer
    if (!isSuccess(answer)) throw failed(failureOfStatus(status, saidIn(text), retryAfter))
    if (!isJson(text)) throw failed(failureOfAnswer(`its answer is no JSON: ${JSON.stringify(text.slice(0, 80))}`, 'transient'))
    return new Response(text, { headers: { 'content-type': 'application/json' } })
  }
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > answerLimit) throw new RequestFailed(failureOfAnswer(`its answer is longer than ${answerLimit} bytes`, 'refused'))
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function isSuccess({ status }: Pick<Answer, 'status'>): boolean {
  return status >= 200 && status <= 299
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** What an endpoint says about its error, in OpenAI's form or a barer one, else its text as it is. */
function saidIn(text: string): string {
  try {
    const { error, message, detail } = JSON.parse(text) as Readonly<Record<string, unknown>>
    const said = [(error as { message?: unknown } | undefined)?.message, error, message, detail].find((one) => typeof one === 'string')
    return typeof said === 'string' ? said : text.trim()
  } catch {
    return text.trim()
  }
}
