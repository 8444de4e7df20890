import { defineActor } from 'troupe/actor'

/** An answer as the tests compare it. */
export type Got = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: readonly string[]
  readonly text: string
  readonly url: string
}

type Asked = {
  readonly how: 'fetch' | 'http' | 'request'
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly redirect?: 'follow' | 'manual'
  readonly limits?: object
}

const undici = () => import('undici')

async function ask(http: Http, { how, url, method = 'GET', headers = {}, body, redirect, limits }: Asked): Promise<Got> {
  const given = { method, headers, ...(body !== undefined && { body }), ...(redirect && { redirect }) }
  if (how === 'fetch') {
    const response = await fetch(url, given)
    const cookies = response.headers.getSetCookie()
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      cookies,
      text: await response.text(),
      url: response.url,
    }
  }
  if (how === 'http') {
    const response = await http(url, { ...given, ...limits })
    const cookies = response.rawHeaders.flatMap(([name, value]) => (name.toLowerCase() === 'set-cookie' ? [value] : []))
    return { status: response.status, headers: response.headers, cookies, text: await response.text(), url: response.url }
  }
  const { request } = await undici()
  const response = await request(url, { ...given, ...limits } as object)
  const cookies = [response.headers['set-cookie'] ?? []].flat()
  const flat = Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')])
  return { status: response.statusCode, headers: Object.fromEntries(flat), cookies, text: await response.body.text(), url }
}

type Http = Parameters<NonNullable<Parameters<typeof defineActor>[0]['init']>>[0]['http']

/** What programs see of an error: fetch's own has what happened as its cause. */
async function failureOf(error: Error & { code?: string }): Promise<object> {
  const { errors } = await undici()
  const inner = (error.cause instanceof Error ? error.cause : error) as Error & { code?: string; syscall?: string; details?: object }
  const classes = Object.entries(errors)
    .filter(([, one]) => inner instanceof (one as never))
    .map(([name]) => name)
  return {
    outer: error.name,
    name: inner.name,
    code: inner.code,
    message: inner.message,
    syscall: inner.syscall,
    details: inner.details,
    classes,
  }
}

function bodyOf(how: Asked['how'], { response }: { response: unknown }): AsyncIterable<Uint8Array> {
  return how === 'fetch'
    ? ((response as Response).body as AsyncIterable<Uint8Array>)
    : (response as { body: AsyncIterable<Uint8Array> }).body
}

async function open(http: Http, how: Asked['how'], url: string, options: object = {}): Promise<AsyncIterable<Uint8Array>> {
  if (how === 'fetch') return bodyOf(how, { response: await fetch(url, options) })
  if (how === 'http') return bodyOf(how, { response: await http(url, options) })
  return bodyOf(how, { response: await (await undici()).request(url, options as object) })
}

async function* pattern(bytes: number): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.alloc(2 ** 16, 7)
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length))
}

function makeForm(): FormData {
  const form = new FormData()
  form.append('name', 'value')
  form.append('file', new Blob(['contents'], { type: 'text/plain' }), 'file.txt')
  return form
}

let left: unknown

/** Does with the pool what a test says. */
export default defineActor({
  messages: {
    ask: true,
    many: true,
    fails: true,
    read: true,
    upload: true,
    form: true,
    abort: true,
    leave: true,
    hurry: true,
    rush: true,
    model: true,
    loop: true,
    secrets: true,
    replace: true,
  },
  receive: {
    ask: (asked, { http }) => ask(http, asked as Asked),
    async many(given, { http }) {
      const { how, url, times } = given as Asked & { times: number }
      const answers = await Promise.all(Array.from({ length: times }, (_, at) => ask(http, { how, url: `${url}?n=${at}` })))
      return answers.filter(({ status }) => status === 200).length
    },
    async fails(asked, { http }) {
      try {
        return { answer: await ask(http, asked as Asked) }
      } catch (error) {
        return failureOf(error as Error)
      }
    },
    async read(given, { http }) {
      const { how, url, pause = 0 } = given as Asked & { pause?: number }
      const began = performance.now()
      let bytes = 0
      let first: number | undefined
      let text = ''
      for await (const chunk of await open(http, how, url)) {
        first ??= performance.now() - began
        bytes += chunk.length
        if (bytes < 100_000) text += Buffer.from(chunk).toString()
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
      }
      return { bytes, first, total: performance.now() - began, text }
    },
    async upload(given, { http }) {
      const { how, url, bytes } = given as Asked & { bytes: number }
      const body = pattern(bytes)
      if (how === 'fetch') return (await fetch(url, { method: 'POST', body, duplex: 'half' } as never)).json()
      if (how === 'http') return (await http(url, { body })).json()
      return (await (await undici()).request(url, { method: 'POST', body: body as never })).body.json()
    },
    async form(given, { http }) {
      const { how, url } = given as Asked
      const form = makeForm()
      if (how === 'fetch') return (await fetch(url, { method: 'POST', body: form })).json()
      if (how === 'http') return (await http(url, { body: form })).json()
      return (await (await undici()).request(url, { method: 'POST', body: form as never })).body.json()
    },
    /** Aborts once the first byte is there, or at once; gives what the caller sees. */
    async abort(given, { http }) {
      const { how, url, at } = given as Asked & { at: 'before' | 'head' | 'body' }
      const abort = new AbortController()
      const reason = new Error('enough')
      try {
        if (at === 'before') abort.abort(reason)
        if (at === 'head') setTimeout(() => abort.abort(reason), 50)
        for await (const _ of await open(http, how, url, { signal: abort.signal })) abort.abort(reason)
        return 'it ended'
      } catch (error) {
        return error === reason ? 'the reason' : String(error)
      }
    },
    /** Leaves a request that nobody will read. */
    async leave(given, { http }) {
      const { url } = given as Asked
      left = await http(url)
      return left !== undefined
    },
    /** Ends before what it started, directly or in functions of its own. */
    async hurry(given, { http }) {
      const { silent, stuck } = given as Readonly<Record<'silent' | 'stuck', string>>
      void http(silent)
      void (async () => (await http(silent)).text())()
      const response = await http(stuck)
      void response.text()
      return response.status
    },
    /** Ends while the body of what it started is still being written. */
    rush(given, { http }) {
      void http((given as Asked).url, { body: makeForm() })
    },
    model: (_, ctx) => ctx.llm.text({ prompt: 'Say something.' }),
    loop() {
      for (;;);
    },
    async secrets() {
      const { writeHeapSnapshot } = await import('node:v8')
      return { env: process.env, file: writeHeapSnapshot() }
    },
    async replace() {
      const { Agent, setGlobalDispatcher } = await undici()
      setGlobalDispatcher(new Agent())
    },
  },
})
