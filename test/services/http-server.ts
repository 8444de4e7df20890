import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What the server has seen so far. */
export type Seen = {
  readonly sockets: number
  readonly mostSockets: number
  readonly requests: number
  readonly mostPaused: number
  readonly aborted: readonly string[]
}

/** A real HTTP server in a process of its own. */
export type HttpServer = AsyncDisposable & {
  readonly origin: string
  /** Speaks what is no HTTP, or only half of it. */
  readonly odd: string
  seen(): Promise<Seen>
  /** Resolves when a request of this path has come. */
  started(path: string): Promise<void>
  /** Resolves when a request of this path, made before or from now on, was given up by who sent it. */
  aborted(path: string): Promise<void>
}

const entry = fileURLToPath(new URL('./http-server-process.ts', import.meta.url))

/** Starts a server; its routes are in http-server-process.ts. */
export async function startHttpServer(): Promise<HttpServer> {
  const child: ChildProcess = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  const [{ port, odd }] = (await once(child, 'message')) as [{ port: number; odd: number }]
  const origin = `http://127.0.0.1:${port}`
  const ask = async (path: string) => (await fetch(`${origin}${path}`)).json()
  return {
    origin,
    odd: `http://127.0.0.1:${odd}`,
    seen: () => ask('/seen') as Promise<Seen>,
    async started(path) {
      await ask(`/wait?what=started&path=${encodeURIComponent(path)}`)
    },
    async aborted(path) {
      await ask(`/wait?what=aborted&path=${encodeURIComponent(path)}`)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
