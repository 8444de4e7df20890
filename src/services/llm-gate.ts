import { ActorError } from '../core/errors.ts'

/** Lets a number of calls through at a time; the others wait in line, up to a number. */
export function createGate({ concurrency, queue }: { readonly concurrency: number; readonly queue: number }) {
  const line = new Set<() => void>()
  let inside = 0

  function leave(): void {
    const [next] = line
    if (!next) {
      inside -= 1
      return
    }
    // Its place goes to the next one: nobody can come in between.
    line.delete(next)
    next()
  }

  async function wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const giveUp = () => {
      line.delete(resolve)
      reject(signal.reason)
    }
    line.add(resolve)
    signal.addEventListener('abort', giveUp, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', giveUp))
  }

  return {
    /** Resolves inside; what it gives is to be called once, to leave. MODEL_FAILED when the line is full. */
    async enter(signal: AbortSignal): Promise<() => void> {
      signal.throwIfAborted()
      if (inside < concurrency) inside += 1
      else if (line.size < queue) await wait(signal)
      else
        throw new ActorError('MODEL_FAILED', `${inside} calls to models run and ${line.size} wait (llm.queue)`, {
          details: { reason: 'queue_full' },
        })
      return leave
    },
  }
}
