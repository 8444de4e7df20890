import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import packageJson from '../../package.json' with { type: 'json' }
import { ActorError } from '../core/errors.ts'
import type { Log } from '../host/log.ts'
import type { TroupeStatus } from '../host/troupe-types.ts'
import type { Port } from '../sources/environment.ts'

/** Answers whoever looks after processes, from before the team starts until it has ended. */
export interface Health extends AsyncDisposable {
  /** Undefined: the port that nobody chose was taken, and the team runs without. */
  readonly port: number | undefined
}

export type HealthOptions = Port & {
  readonly status: () => TroupeStatus
  readonly log: Pick<Log, 'write'>
}

type Page = { readonly code: number; readonly body: Readonly<Record<string, unknown>>; readonly allow?: string }

/** Nobody who asks for health needs longer, or asks in such numbers. */
const limits = { request: 5_000, connections: 100 } as const

/**
 * Serves /health (the process is alive) and /ready (it does its work, or would at once) as JSON. CONFIG_INVALID when the port cannot
 * be had and somebody chose it; the default one is missed with a warning only, as a second team on one machine is nothing unusual.
 */
export async function openHealth({ port, isChosen, status, log }: HealthOptions): Promise<Health> {
  const server = createServer({ requestTimeout: limits.request, headersTimeout: limits.request }, (request, response) =>
    answer(request, response, status),
  )
  server.maxConnections = limits.connections
  try {
    server.listen(port)
    await once(server, 'listening')
  } catch (error) {
    const message = refusal(port, error as NodeJS.ErrnoException)
    if (isChosen) throw new ActorError('CONFIG_INVALID', message, { cause: error, details: { port } })
    log.write('warn', `${message}. Until then the team runs without /health and /ready`, { port })
    return { port: undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  server.on('error', (error) => log.write('warn', `/health and /ready: ${error.message}`))
  const { port: opened } = server.address() as AddressInfo
  log.write('info', `/health and /ready are served on port ${opened}`, { port: opened })
  return {
    port: opened,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function refusal(port: number, { code, message }: NodeJS.ErrnoException): string {
  const why = code === 'EADDRINUSE' ? 'is taken by another process' : code === 'EACCES' ? 'needs rights that this user has not' : message
  return `PORT ${port} ${why}: set PORT to one that is free (PORT=0 takes any)`
}

function answer({ method = '', url = '' }: IncomingMessage, response: ServerResponse, status: () => TroupeStatus): void {
  const { code, body, allow } = pageOf(method, url.split('?', 1)[0] ?? '', status)
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(code, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
    ...(allow && { allow }),
  })
  response.end(method === 'HEAD' ? undefined : text)
}

const pages: ReadonlyMap<string, (status: TroupeStatus) => Page> = new Map([
  ['/health', health],
  ['/ready', ready],
])

function pageOf(method: string, path: string, status: () => TroupeStatus): Page {
  const page = pages.get(path)
  if (page === undefined) return { code: 404, body: { error: `There is no ${path.slice(0, 80)} here, only /health and /ready` } }
  if (method !== 'GET' && method !== 'HEAD') {
    return { code: 405, body: { error: `${path} takes GET and HEAD, found ${method}` }, allow: 'GET, HEAD' }
  }
  return page(status())
}

function health({ phase, node }: TroupeStatus): Page {
  const { version } = packageJson
  return { code: 200, body: { status: 'alive', phase, uptime: Math.round(process.uptime()), node, version } }
}

/** Counts and ids only: whoever may ask for readiness may not read what agents do. */
function ready({ isReady, reasons, isStandby, phase, node, store, agents, zombies }: TroupeStatus): Page {
  const body = {
    status: isReady ? 'ready' : 'not ready',
    reasons,
    standby: isStandby,
    phase,
    node,
    store: { kind: store.kind, isAway: store.isAway },
    agents,
    zombies,
  }
  return { code: isReady ? 200 : 503, body }
}
