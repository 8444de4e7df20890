import type { Bytes } from '../core/http-wire.ts'
import { httpLimits, packHeaders, type RequestLimits, toActor } from '../core/http-wire.ts'
import type { createSender } from '../worker/http-sender.ts'
import { toFailure } from './http-failure.ts'
import { retryIn, type Tried } from './http-retry.ts'
import type { Traffic } from './http-traffic.ts'
import { createUpload } from './http-upload.ts'

/** What undici lets a handler do with its request. */
export type Controller = {
  readonly rawHeaders?: Buffer[] | string[] | null
  readonly rawTrailers?: Buffer[] | string[] | null
  abort(reason: Error): void
  pause(): void
  resume(): void
}

/** A handler as undici's dispatch wants it. */
export type DispatchHandler = {
  onRequestStart(controller: Controller): void
  onResponseStart(controller: Controller, status: number, headers: Record<string, string | string[] | undefined>, statusText?: string): void
  onResponseData(controller: Controller, chunk: Buffer): void
  onResponseEnd(controller: Controller): void
  onResponseError(controller: Controller, error: Error): void
}

export type DispatchOptions = {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: string[]
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | null
} & RequestLimits

export type Dispatch = (options: DispatchOptions, handler: DispatchHandler) => void

/** A request as it came from the actor. */
export type Asked = {
  readonly id: number
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers: string[]
  readonly body: Bytes | true | null
  readonly limits: RequestLimits | null
}

export type ExchangeOptions = {
  readonly asked: Asked
  /** As URLs write it. */
  readonly origin: string
  readonly headers: string[]
  readonly retries: number
  readonly sender: ReturnType<typeof createSender>
  readonly dispatch: Dispatch
  readonly counts: Pick<Traffic, 'sent' | 'received' | 'retried'>
  readonly onOver: (how: 'done' | 'failed' | 'aborted') => void
}

export type HostExchange = ReturnType<typeof createExchange>

/** Bytes of an answer that is not handed on which are read, so that its connection can be used again. */
const readable = 2 ** 16

/** One request of an actor on the host: it is sent, perhaps again, and its answer goes to the actor as fast as that takes it. */
export function createExchange({ asked, origin, headers, retries, sender, dispatch, counts, onOver }: ExchangeOptions) {
  const { id, method, path, limits } = asked
  const inline = typeof asked.body === 'string' ? Buffer.from(asked.body, 'latin1') : asked.body === true ? undefined : asked.body
  const upload = inline === undefined ? createUpload(() => sender.send([toActor.more.op, id])) : undefined
  let phase: 'waiting' | 'running' | 'over' = 'waiting'
  let controller: Controller | undefined
  let timer: NodeJS.Timeout | undefined
  let tries = 0
  let unconfirmed = 0
  let isPaused = false

  function over(how: 'done' | 'failed' | 'aborted'): void {
    if (phase === 'over') return
    phase = 'over'
    clearTimeout(timer)
    upload?.end()
    onOver(how)
  }

  function fail(error: unknown): void {
    if (phase === 'over') return
    sender.send([toActor.fail.op, id, toFailure(error)])
    over('failed')
  }

  function begin(): void {
    if (phase === 'over') return
    phase = 'running'
    tries += 1
    counts.sent += inline?.length ?? 0
    try {
      dispatch({ origin, path, method, headers, body: inline ?? upload?.body ?? null, ...limits }, createHandler())
    } catch (error) {
      fail(error)
    }
  }

  /** Ms until the request is sent again; undefined when it is not. */
  function delayAfter(tried: Tried): number | undefined {
    if (upload) return undefined
    return retryIn(tried, { method, tries, retries, random: Math.random(), now: Date.now() })
  }

  function again(ms: number): void {
    if (phase === 'over') return
    counts.retried += 1
    timer = setTimeout(begin, ms)
  }

  function createHandler(): DispatchHandler {
    let next: number | undefined
    let skipped = 0
    let hasHead = false
    return {
      onRequestStart(given) {
        controller = given
        if (phase === 'over') given.abort(gone())
      },
      onResponseStart(given, status, byName, statusText = '') {
        if (status < 200 || phase === 'over') return
        next = delayAfter({ status, retryAfter: [byName['retry-after']].flat()[0] })
        if (next !== undefined) return
        hasHead = true
        sender.send([toActor.head.op, id, status, statusText, packHeaders(textOf(given.rawHeaders))])
      },
      onResponseData(given, chunk) {
        if (phase === 'over') return
        if (next !== undefined) {
          skipped += chunk.length
          if (skipped > readable) given.abort(gone())
          return
        }
        counts.received += chunk.length
        unconfirmed += chunk.length
        for (let at = 0; at < chunk.length; at += httpLimits.chunk)
          sender.bytes([toActor.data.op, id], chunk.subarray(at, at + httpLimits.chunk))
        if (unconfirmed <= httpLimits.window || isPaused) return
        isPaused = true
        given.pause()
      },
      onResponseEnd(given) {
        if (phase === 'over') return
        if (next !== undefined) return again(next)
        sender.send([toActor.end.op, id, packHeaders(textOf(given.rawTrailers))])
        over('done')
      },
      onResponseError(_, error) {
        if (phase === 'over') return
        next ??= hasHead ? undefined : delayAfter({ code: codeOf(error) })
        if (next === undefined) fail(error)
        else again(next)
      },
    }
  }

  return {
    asked,
    begin,
    fail,
    abort(): void {
      if (phase === 'over') return
      const was = phase
      over('aborted')
      if (was === 'running') controller?.abort(gone())
    },
    data(bytes: Bytes): void {
      const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
      counts.sent += chunk.length
      if (upload?.push(chunk) === false) fail(new Error('More of the body came than there was room for'))
    },
    end: (): void => upload?.end(),
    ack(bytes: number): void {
      unconfirmed -= bytes
      if (!isPaused || unconfirmed > httpLimits.window / 2) return
      isPaused = false
      controller?.resume()
    },
  }
}

function textOf(raw: readonly (Buffer | string)[] | null | undefined): string[] {
  return (raw ?? []).map((one) => (typeof one === 'string' ? one : one.toString('latin1')))
}

function gone(): Error {
  return new Error('Nobody waits for the answer any more')
}

function codeOf(error: Error & { readonly code?: unknown }): string | undefined {
  return typeof error.code === 'string' ? error.code : undefined
}
