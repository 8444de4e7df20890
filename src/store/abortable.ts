/** Waits for a promise no longer than the signal allows; the work behind it goes on. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined | null): Promise<T> {
  if (!signal) return await work
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    // In any case both: a failure of work that nobody waits for would end the process.
    return await Promise.race([aborted.promise, work])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** A signal that is aborted after `timeout` ms, or with the other one. */
export function limited(timeout: number, signal: AbortSignal | undefined): AbortSignal {
  return signal ? AbortSignal.any([AbortSignal.timeout(timeout), signal]) : AbortSignal.timeout(timeout)
}
