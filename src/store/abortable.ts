/** Waits for a promise no longer than the signal allows; the work behind it goes on. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined | null): Promise<T> {
  if (!signal) return await work
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** A signal that is aborted after `timeout` ms, or with the other one. */
export function limited(timeout: number, signal: AbortSignal | undefined): AbortSignal {
  return signal ? AbortSignal.any([AbortSignal.timeout(timeout), signal]) : AbortSignal.timeout(timeout)
}
