import type { MessagePort } from 'node:worker_threads'
import { ActorError } from '../core/errors.ts'
import type { Http } from '../core/http.ts'
import { createSlots } from '../core/slots.ts'
import { createHttpLink, type Exchange, type HttpLink } from './http.ts'
import { createHttpClient } from './http-client.ts'
import { installDispatcher } from './http-dispatcher.ts'
import { assertOpen, type Resident, type Turn } from './turn.ts'

/** Connects this thread with the host's pool: from now on fetch goes there. */
export function connectHttp(port: MessagePort): HttpLink {
  const link = createHttpLink(port)
  installDispatcher(link)
  return link
}

/** Makes ctx.http of one turn: its requests end with the turn, also those whose bodies nobody has read. */
export function createTurnHttp({ link }: Resident, turn: Turn): Http {
  const open = createSlots<Exchange>()
  let http: Http | undefined

  function abortAll(reason: unknown): void {
    for (const exchange of open.values()) exchange.abort(reason)
  }

  function onOpen(exchange: Exchange): () => void {
    const id = open.put(exchange)
    return () => open.delete(id)
  }

  function create(to: HttpLink): Http {
    const { signal } = turn.abort
    signal.addEventListener('abort', () => abortAll(signal.reason), { once: true })
    turn.ends.push(() => abortAll(new ActorError('HANDLER_FAILED', `${turn.name} ended before its request`)))
    return createHttpClient({ link: to, onOpen })
  }

  return async (url, options) => {
    assertOpen(turn, 'ctx.http')
    if (turn.abort.reason) throw turn.abort.reason
    if (!link) throw new ActorError('HANDLER_FAILED', 'This thread has no HTTP pool')
    http ??= create(link)
    return http(url, options)
  }
}
