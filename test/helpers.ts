import { type EventEmitter, on } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Resolves with the first argument of the next event that passes the filter; rejects once the timeout is over. */
export async function nextEvent<Events extends Record<keyof Events, unknown[]>, Name extends keyof Events & string>(
  emitter: EventEmitter<Events>,
  name: Name,
  { timeout = 10_000, filter = () => true }: { timeout?: number; filter?: (payload: Events[Name][0]) => boolean } = {},
): Promise<Events[Name][0]> {
  const limit = AbortSignal.timeout(timeout)
  try {
    for await (const [payload] of on(emitter as EventEmitter, name, { signal: limit })) {
      if (filter(payload)) return payload
    }
  } catch (error) {
    if (!limit.aborted) throw error
  }
  throw new Error(`No "${name}" within ${timeout} ms`)
}

/** Makes an empty folder that is gone when the test's block ends. */
export async function tempFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'troupe-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}
