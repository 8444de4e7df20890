import { httpLimits } from '../core/http-wire.ts'

/** A body on its way: none, all of it, or in chunks. */
export type Body = null | Uint8Array | AsyncIterable<unknown>

/** A body with the headers that follow from it. */
export type Encoded = { readonly body: Body; readonly type?: string; readonly length?: number }

/** Turns whatever fetch, undici or an actor gives as a body into what the pool takes. Throws a TypeError for what is none. */
export async function encodeBody(given: unknown, knownLength?: number): Promise<Encoded> {
  const simple = encodeSimple(given)
  if (simple) return simple
  if (given instanceof Blob) {
    const type = given.type === '' ? {} : { type: given.type }
    return { ...(await collected(given.stream(), given.size)), ...type }
  }
  if (isFormData(given)) {
    const response = new Response(ownForm(given))
    const bytes = new Uint8Array(await response.arrayBuffer())
    return {
      body: bytes.length > httpLimits.inline ? once(bytes) : bytes,
      length: bytes.length,
      type: response.headers.get('content-type') ?? '',
    }
  }
  if (isIterable(given)) return collected(given, knownLength)
  throw new TypeError('A body is a string, bytes, a stream, an iterable of chunks, a Blob or a FormData')
}

const noBody: Encoded = { body: null }

/** The same without waiting, for what needs none; undefined for what does. */
export function encodeSimple(given: unknown): Encoded | undefined {
  if (given === null || given === undefined) return noBody
  if (given instanceof URLSearchParams)
    return { ...whole(Buffer.from(String(given))), type: 'application/x-www-form-urlencoded;charset=UTF-8' }
  if (typeof given === 'string') return whole(Buffer.from(given))
  if (given instanceof Uint8Array) return whole(given)
  if (given instanceof ArrayBuffer) return whole(new Uint8Array(given))
  if (ArrayBuffer.isView(given)) return whole(new Uint8Array(given.buffer, given.byteOffset, given.byteLength))
  return undefined
}

function whole(bytes: Uint8Array): Encoded {
  return { body: bytes.length > httpLimits.inline ? once(bytes) : bytes, length: bytes.length }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** What is short goes with the head, and may then be sent again. */
async function collected(chunks: AsyncIterable<unknown> | Iterable<unknown>, length: number | undefined): Promise<Encoded> {
  if (length === undefined || length > httpLimits.inline) return { body: each(chunks), ...(length !== undefined && { length }) }
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array))
  return { body: Buffer.concat(parts), length }
}

async function* each(chunks: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<unknown> {
  yield* chunks
}

function isIterable(given: unknown): given is AsyncIterable<unknown> | Iterable<unknown> {
  return typeof given === 'object' && given !== null && (Symbol.asyncIterator in given || Symbol.iterator in given)
}

type Form = { entries(): Iterable<readonly [string, string | Blob]> }

function isFormData(given: unknown): given is Form {
  return typeof given === 'object' && given !== null && (given as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === 'FormData'
}

/** Another copy of undici has a class of its own, which ours would not know. */
function ownForm(given: Form): FormData {
  if (given instanceof FormData) return given
  const form = new FormData()
  for (const [name, value] of given.entries()) form.append(name, value as string)
  return form
}
