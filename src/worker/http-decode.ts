import type { Transform } from 'node:stream'

type Chunks = AsyncIterable<Uint8Array>

const decoders: Readonly<Record<string, 'createGunzip' | 'createInflate' | 'createBrotliDecompress' | 'createZstdDecompress'>> = {
  gzip: 'createGunzip',
  'x-gzip': 'createGunzip',
  deflate: 'createInflate',
  br: 'createBrotliDecompress',
  zstd: 'createZstdDecompress',
}

/** Whether a content-encoding is one that is undone here; what nobody knows is left as it is. */
export function isEncoded(encoding: string): boolean {
  const codings = codingsOf(encoding)
  return codings.length > 0 && codings.every((coding) => Object.hasOwn(decoders, coding))
}

/** Decompresses a body by its content-encoding. */
export async function* decoded(body: Chunks, encoding: string): AsyncGenerator<Uint8Array> {
  const zlib = await import('node:zlib')
  const { pipeline, Readable } = await import('node:stream')
  const codings = codingsOf(encoding).toReversed()
  const transforms = codings.map((coding) => zlib[decoders[coding] as 'createGunzip']() as Transform)
  let isEmpty = false
  async function* read(): AsyncGenerator<Uint8Array> {
    let size = 0
    for await (const chunk of body) {
      size += chunk.length
      yield chunk
    }
    isEmpty = size === 0
  }
  // What goes wrong on the way is thrown to the reader of the last one.
  pipeline([Readable.from(read()), ...transforms], () => {})
  try {
    yield* transforms.at(-1) as Chunks
  } catch (error) {
    // Servers name an encoding for nothing too, in which a decoder misses its end.
    if (!isEmpty) throw error
  }
}

function codingsOf(encoding: string): string[] {
  const codings = encoding.toLowerCase().split(',')
  return codings.map((coding) => coding.trim()).filter((coding) => coding !== '' && coding !== 'identity')
}
