import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What was asked, as it came over the wire. */
export type Asked = {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: {
    readonly model: string
    readonly messages: readonly { readonly role: string; readonly content: string }[]
    readonly max_tokens?: number
    readonly temperature?: number
    readonly response_format?: { readonly type: string; readonly json_schema?: { readonly schema: unknown; readonly strict: boolean } }
  }
}

/** What the server does with one request; by default it answers well. */
export type Behaviour =
  | {
      readonly kind: 'answer'
      readonly text: string
      readonly finish?: string
      readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
    }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** A body as it is, with status 200. */
  | { readonly kind: 'raw'; readonly body: string | Uint8Array }
  /** Ends the connection before or within the answer. */
  | { readonly kind: 'cut'; readonly at: 'head' | 'body' }
  /** Says nothing until the test lets it, or the client has gone. */
  | { readonly kind: 'hold'; readonly until?: Promise<unknown> }

type Otherwise = Behaviour | ((asked: Asked) => Behaviour)

/** A server that speaks the chat completions protocol, with faults. `script` is used up in order, then `otherwise` repeats. */
export async function startModelServer(script: readonly Behaviour[] = [], otherwise: Otherwise = { kind: 'answer', text: 'Well.' }) {
  const left = [...script]
  const asked: Asked[] = []
  const now = { asking: 0, most: 0, gone: 0 }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    now.asking += 1
    now.most = Math.max(now.most, now.asking)
    response.once('close', () => {
      now.asking -= 1
      if (!response.writableFinished) now.gone += 1
    })
    const body = (await request.toArray()).join('')
    const one: Asked = { path: request.url ?? '', authorization: request.headers.authorization, body: JSON.parse(body) }
    asked.push(one)
    await behave(left.shift() ?? (typeof otherwise === 'function' ? otherwise(one) : otherwise), response)
  }

  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    /** How many requests are under way, were at most, and were given up by who asked. */
    now,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function behave(behaviour: Behaviour, response: ServerResponse): Promise<void> {
  switch (behaviour.kind) {
    case 'answer':
      return json(response, completion(behaviour))
    case 'status':
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers })
      return void response.end(behaviour.body ?? JSON.stringify({ error: { message: `fault ${behaviour.status}` } }))
    case 'raw':
      return json(response, behaviour.body)
    case 'cut':
      if (behaviour.at === 'body') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
        await new Promise((resolve) => response.write('{"id":"1","choi', resolve))
      }
      return void response.socket?.destroy()
    case 'hold':
      if (!behaviour.until) return
      await behaviour.until
      return json(response, completion({ text: 'At last.' }))
  }
}

function json(response: ServerResponse, body: string | Uint8Array): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(body)
}

function completion({
  text,
  finish = 'stop',
  usage = { prompt_tokens: 10, completion_tokens: 5 },
}: Omit<Extract<Behaviour, { kind: 'answer' }>, 'kind'>): string {
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: finish }]
  return JSON.stringify({ id: '1', object: 'chat.completion', created: 1, model: 'm', choices, ...(usage && { usage }) })
}
