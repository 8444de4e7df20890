import { ActorError } from '../core/errors.ts'
import { longestTimer } from '../core/longest-timer.ts'
import { overLimit, patience } from '../core/turn-limit.ts'
import type { Abort } from './abort.ts'

/** Waits for a handler as long as the host waits for a turn: after `limit` ms its signal is aborted, and when it goes on even then it is hung. */
export async function inTime(handling: PromiseLike<unknown>, limit: number, abort: Abort): Promise<'handled' | 'hung'> {
  const { promise: hung, resolve } = Promise.withResolvers<'hung'>()
  let timer = setTimeout(onLimit, Math.min(limit, longestTimer))
  function onLimit(): void {
    abort.abort(new ActorError('TURN_TIMEOUT', overLimit))
    timer = setTimeout(resolve, patience, 'hung')
  }
  try {
    return await Promise.race([handling.then(() => 'handled' as const), hung])
  } finally {
    clearTimeout(timer)
  }
}
