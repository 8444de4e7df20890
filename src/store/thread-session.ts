import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { SqlFailure } from './sql-failure.ts'
import { storeError } from './store-error.ts'
import type { Answers, HostFrame, ThreadFrame, ThreadTarget, Work } from './thread-frames.ts'

/** One life of the store thread, from its start to its exit. */
export interface ThreadSession {
  /** Rejects with the thread's failure, the signal's reason, or STORE_FAILED when the thread ends before. */
  ask<Op extends Work['op']>(
    work: Extract<Work, { op: Op }>,
    options?: { signal?: AbortSignal; transfer?: ArrayBuffer[] },
  ): Promise<Answers[Op]>
  /** Lets the work in hand finish and closes the database; after `limit` ms the thread is ended as it is. */
  close(limit: number): Promise<void>
  /** Ends the thread as it is. */
  kill(): void
  /** Resolves when the thread is gone, with what it died of. */
  readonly ended: Promise<Error | undefined>
}

/** Why the work that a thread was asked for did not succeed. */
export class ThreadFailure extends Error {
  override readonly name = 'ThreadFailure'
  readonly failure: SqlFailure

  constructor(failure: SqlFailure) {
    super(failure.message)
    this.failure = failure
  }
}

interface Pending {
  readonly resolve: (answer: Answers[Work['op']]) => void
  readonly reject: (error: unknown) => void
}

const entry = fileURLToPath(new URL('embedded-thread.ts', import.meta.url))
// Nothing of the host's environment: no secrets, no PG* variables, and no telemetry in whatever lite may load.
const threadEnv = (cache = process.env.NODE_COMPILE_CACHE) => ({
  LITE_TELEMETRY: '0',
  DO_NOT_TRACK: '1',
  NODE_ENV: 'production',
  ...(cache ? { NODE_COMPILE_CACHE: cache } : {}),
})

// Measured under load: about 300 MB for the process with these limits; 330 without the second, 511 to 569 without the first.
// Less than 256 for the second, and a body of 32 MB would end the thread.
const resourceLimits = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 256 }

/** Starts a store thread; resolves when its database is open. It is ended when it has work and answers nothing for `hangAfter`. */
export async function startThread(target: ThreadTarget, hangAfter: number): Promise<ThreadSession> {
  const worker = new Worker(entry, { workerData: target, env: threadEnv(), execArgv: [], resourceLimits, stdout: true, stderr: true })
  for (const stream of [worker.stdout, worker.stderr]) stream.resume() // unread, it would pile up
  const session = superviseWorker(worker, hangAfter)
  try {
    await session.ready
  } catch (error) {
    session.kill()
    await session.ended
    throw error
  }
  return session
}

function superviseWorker(worker: Worker, hangAfter: number): ThreadSession & { readonly ready: Promise<void> } {
  const pending = new Map<number, Pending>()
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Error | undefined>()
  let lastId = 0
  let death: Error | undefined
  let isGone = false
  const watch = watchForHang(hangAfter, () => {
    death = new Error(`The store thread answered nothing for ${hangAfter} ms`)
    void worker.terminate()
  })
  const send = (frame: HostFrame, transfer: ArrayBuffer[] = []) => worker.postMessage(frame, transfer)

  function settle(frame: ThreadFrame): void {
    if ('id' in frame) watch.ended(frame.id)
    switch (frame.op) {
      case 'ready':
        return ready.resolve()
      case 'broken':
        return ready.reject(new ThreadFailure(frame.failure))
      case 'answer':
        pending.get(frame.id)?.resolve(frame.answer)
        break
      case 'failure':
        pending.get(frame.id)?.reject(new ThreadFailure(frame.failure))
    }
    pending.delete(frame.id)
  }

  worker.on('message', settle)
  worker.on('error', (error) => {
    death = error as Error
  })
  worker.on('exit', (code) => {
    isGone = true
    watch.stop()
    const gone = storeError(`The store thread ended (exit code ${code})`, { kind: 'unavailable', code: '' }, death)
    ready.reject(gone)
    for (const { reject } of pending.values()) reject(gone)
    pending.clear()
    ended.resolve(death)
  })

  return {
    ready: ready.promise,
    ended: ended.promise,
    ask: (work, { signal, transfer } = {}) => {
      if (isGone) return Promise.reject(storeError('The store thread has ended', { kind: 'unavailable', code: '' }, death))
      signal?.throwIfAborted()
      const id = ++lastId
      const answer = Promise.withResolvers<Answers[Work['op']]>()
      const abort = () => {
        pending.delete(id)
        send({ op: 'drop', id })
        answer.reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      pending.set(id, answer)
      watch.began(id, work.op === 'migrate')
      send({ ...work, id }, transfer)
      return answer.promise.finally(() => signal?.removeEventListener('abort', abort)) as never
    },
    async close(limit) {
      if (!isGone) send({ op: 'close' })
      const timer = setTimeout(() => void worker.terminate(), limit)
      await ended.promise
      clearTimeout(timer)
    },
    kill: () => void worker.terminate(),
  }
}

/**
 * Notices that work is in hand and nothing is answered. What a caller gave up counts until the thread has answered it: an
 * endless statement outlives everybody who waits for it. Migrations may take their time.
 */
function watchForHang(limit: number, onHang: () => void) {
  const inHand = new Map<number, boolean>()
  let timer: NodeJS.Timeout | undefined
  const arm = () => {
    clearTimeout(timer)
    const isDue = inHand.size > 0 && ![...inHand.values()].includes(true)
    timer = isDue ? setTimeout(onHang, limit) : undefined
  }
  return {
    began(id: number, isPatient: boolean): void {
      inHand.set(id, isPatient)
      if (inHand.size === 1 || isPatient) arm()
    },
    ended(id: number): void {
      inHand.delete(id)
      arm()
    },
    stop: () => clearTimeout(timer),
  }
}
