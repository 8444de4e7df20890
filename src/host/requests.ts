import type { Answer, ErrorData } from '../core/frames.ts'
import type { Delivery, JsonText } from '../core/message.ts'
import { relations } from '../store/functions.ts'
import type { Store } from '../store/store.ts'
import { takeBatch } from './batch.ts'
import { bisect } from './bisect.ts'
import { type Patience, timeoutsFor } from './patience.ts'

/** Whose request it is: the incarnation, and the run of a handler in it. */
export type Requester = { readonly agent: string; readonly token: number; readonly turn: number; readonly delivery: Delivery }

/** What turns ask of the store at once. What comes in the same stretch of code goes in one call. */
export type Requests = {
  startStep(by: Requester, key: string): Promise<Answer>
  finishStep(by: Requester, key: string, result: JsonText): Promise<Answer>
  call(by: Requester, request: { readonly key: string; readonly fn: string; readonly args: JsonText }): Promise<Answer>
  read(relation: string, filter: JsonText, options: JsonText): Promise<Answer>
  close(): void
}

export type RequestsOptions = { readonly store: Pick<Store, 'call' | 'read'>; readonly patience: Patience }

type Failed = { readonly verdict: 'failed'; readonly code: string; readonly error: string }
type Known = { readonly verdict: 'repeat'; readonly status: 'started' | 'finished'; readonly result?: JsonText | undefined }
type StepVerdict = { readonly verdict: 'ok' | 'stale' | 'not_found' } | Known | Failed
type CallVerdict = { readonly verdict: 'ok' | 'repeat'; readonly result: unknown } | { readonly verdict: 'stale' } | Failed

export function createRequests({ store, patience }: RequestsOptions): Requests {
  const closed = new AbortController()
  const { signal } = closed
  type StepCall = Parameters<typeof store.call<'save_steps'>>[1]['p_batch'][number]
  type FunctionCall = Parameters<typeof store.call<'call_functions'>>[1]['p_batch'][number]

  const steps = gather<StepCall, StepVerdict>((p_batch) =>
    patience.insist(() => store.call('save_steps', { p_batch: [...p_batch] }, { signal }), signal, timeoutsFor(p_batch)),
  )
  const calls = gather<FunctionCall, CallVerdict>((p_batch) =>
    patience.insist(() => store.call('call_functions', { p_batch: [...p_batch] }, { signal }), signal, timeoutsFor(p_batch)),
  )

  // Which columns there are, the database knows.
  const read = store.read as (relation: string, filter: object, options: object) => Promise<readonly object[]>

  return {
    async startStep(by, key) {
      // The run's name makes the repetition of this very call tell itself from the repetition of the turn.
      const step = { ...owner(by), key, phase: 'start' as const, run: `${by.token}:${by.turn}` }
      return stepAnswer(await steps(step, key.length), key)
    },
    async finishStep(by, key, result) {
      return stepAnswer(await steps({ ...owner(by), key, phase: 'finish', result }, result.length), key)
    },
    async call(by, { key, fn, args }) {
      return callAnswer(await calls({ ...owner(by), key, fn, args: JSON.parse(args) }, args.length), fn)
    },
    async read(relation, filter, options) {
      if (!Object.hasOwn(relations, relation)) return failed('STORE_FAILED', `There is no table or view "${relation}" to read`)
      try {
        const rows = await patience.insist(() => read(relation, JSON.parse(filter), { ...JSON.parse(options), signal }), signal)
        return rows ? { ok: true, value: JSON.stringify(rows) } : stopped
      } catch (error) {
        return failed('STORE_FAILED', (error as Error).message)
      }
    },
    close: () => closed.abort(),
  }
}

/** Makes one call of what several ask for in the same stretch of code. Undefined: it came to nothing, the process ends. */
function gather<Element, Verdict>(send: (elements: readonly Element[]) => Promise<readonly Verdict[] | undefined>) {
  type Waiting = { readonly element: Element; readonly bytes: number; resolve(verdict: Verdict | Failed | undefined): void }
  const queue: Waiting[] = []

  function flush(): void {
    while (queue.length > 0) {
      const batch = takeBatch(queue, { items: 100, bytes: 2 ** 20 })
      void bisect(batch, sendAll, ({ resolve }, { message }) => resolve({ verdict: 'failed', code: 'STORE_FAILED', error: message }))
    }
  }

  async function sendAll(batch: readonly Waiting[]): Promise<void> {
    const verdicts = await send(batch.map(({ element }) => element))
    for (const [index, { resolve }] of batch.entries()) resolve(verdicts?.[index])
  }

  return (element: Element, size: number): Promise<Verdict | Failed | undefined> => {
    const { promise, resolve } = Promise.withResolvers<Verdict | Failed | undefined>()
    if (queue.length === 0) queueMicrotask(flush)
    queue.push({ element, bytes: size + 300, resolve })
    return promise
  }
}

/** A message's steps are its agent's; a job's go with the job, to whoever claims it next. */
function owner({ agent, token, delivery }: Requester) {
  const base = { agent_id: agent, lease_token: token }
  if (delivery.kind === 'message') return { ...base, message_id: delivery.message.id }
  return { ...base, job_id: delivery.job.id, job_token: delivery.job.token }
}

function stepAnswer(verdict: StepVerdict | undefined, key: string): Answer {
  switch (verdict?.verdict) {
    case undefined:
      return stopped
    case 'ok':
      return { ok: true, value: null }
    case 'repeat':
      return { ok: true, value: verdict.result ?? null, known: verdict.status }
    case 'stale':
      return stale
    case 'not_found':
      return failed('STEP_UNKNOWN', `${key} has ended, but its start is not there`)
    case 'failed':
      return failed('STORE_FAILED', `${key}: ${verdict.error}`, verdict.code)
  }
}

function callAnswer(verdict: CallVerdict | undefined, fn: string): Answer {
  switch (verdict?.verdict) {
    case undefined:
      return stopped
    case 'ok':
    case 'repeat':
      return resultAnswer(verdict.result, fn)
    case 'stale':
      return stale
    case 'failed':
      return failed('STORE_FAILED', `${fn}: ${verdict.error}`, verdict.code)
  }
}

/** What the database gives may be nested deeper than it can be written. */
function resultAnswer(result: unknown, fn: string): Answer {
  try {
    return { ok: true, value: JSON.stringify(result) }
  } catch (error) {
    return failed('STORE_FAILED', `${fn}: ${(error as Error).message}`)
  }
}

const stopped = failed('STOPPED', 'The process ends')
const stale = failed('LEASE_LOST', 'The agent or its job is held by somebody else now')

/** An answer that says no. */
export function failed(code: string, message: string, sqlState?: string): Answer {
  const error: ErrorData = { name: 'ActorError', code, message, ...(sqlState !== undefined && { details: { code: sqlState } }) }
  return { ok: false, error }
}
