import { type Context, defineActor } from 'troupe/actor'

type Asked = { readonly how: 'fetch' | 'http' | 'request'; readonly url: string }

async function requester({ http }: Context, { how, url }: Asked): Promise<() => Promise<unknown>> {
  if (how === 'fetch') return async () => (await fetch(url)).text()
  if (how === 'http') return async () => (await http(url)).text()
  const { request } = await import('undici')
  return async () => (await request(url)).body.text()
}

async function bodyOf({ http }: Context, { how, url }: Asked): Promise<AsyncIterable<Uint8Array>> {
  if (how === 'fetch') return (await fetch(url)).body as unknown as AsyncIterable<Uint8Array>
  if (how === 'http') return (await http(url)).body
  const { request } = await import('undici')
  return (await request(url)).body
}

/** Sends the requests of `bench -- http`. */
export default defineActor({
  messages: { load: true, stream: true },
  receive: {
    /** Requests in a second. */
    async load(given, ctx) {
      const { concurrency, ms, ...asked } = given as Asked & { readonly concurrency: number; readonly ms: number }
      const request = await requester(ctx as Context, asked)
      await request()
      const began = performance.now()
      let done = 0
      const worker = async () => {
        for (; performance.now() - began < ms; done += 1) await request()
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      return (done * 1_000) / (performance.now() - began)
    },
    /** Ms to the first chunk, and to the last. */
    async stream(asked, ctx) {
      const began = performance.now()
      let first: number | undefined
      for await (const _ of await bodyOf(ctx as Context, asked as Asked)) first ??= performance.now() - began
      return { first, total: performance.now() - began }
    },
  },
})
