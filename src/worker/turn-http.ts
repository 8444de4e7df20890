import type { MessagePort } from 'node:worker_threads'
import { ActorError } from '../core/errors.ts'
import type { Http } from '../core/http.ts'
import { createSlots } from '../core/slots.ts'
import { createHttpLink, type HttpLink } from './http.ts'
import { createHttpClient, type OpenRequest } from './http-client.ts'
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
  const open = createSlots<OpenRequest>()
  let http: Http | undefined

  function onOpen(request: OpenRequest): () => void {
    const id = open.put(request)
    return () => open.delete(id)
  }

  function leaveAll(): number {
    const ended = (request: OpenRequest) => request.leave(new ActorError('HANDLER_FAILED', `${turn.name} ended before its request`))
    return open.values().filter(ended).length
  }

  function create(to: HttpLink): Http {
    const { signal } = turn.abort
    const onAbort = () => {
      for (const request of open.values()) request.abort(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    turn.ends.push(leaveAll)
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
