import type { Transform } from 'node:stream'

type Chunks = AsyncIterable<Uint8Array>

/** Decompresses a body by its content-encoding; one that nobody here knows is left as it is. */
export function decoded(body: AsyncGenerator<Uint8Array>, encoding: string | undefined): Chunks {
  const codings = (encoding ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  return codings.length === 0 || !codings.every((coding) => coding in decoders) ? body : inflate(body, codings.toReversed())
}

const decoders: Readonly<Record<string, 'createGunzip' | 'createInflate' | 'createBrotliDecompress' | 'createZstdDecompress'>> = {
  gzip: 'createGunzip',
  'x-gzip': 'createGunzip',
  deflate: 'createInflate',
  br: 'createBrotliDecompress',
  zstd: 'createZstdDecompress',
}

async function* inflate(body: Chunks, codings: readonly string[]): AsyncGenerator<Uint8Array> {
  const zlib = await import('node:zlib')
  const { pipeline, Readable } = await import('node:stream')
  const transforms = codings.map((coding) => zlib[decoders[coding] as 'createGunzip']() as Transform)
  const last = transforms.at(-1) as Transform
  // What goes wrong on the way is thrown to the reader of the last one.
  pipeline([Readable.from(body), ...transforms], () => {})
  yield* last as Chunks
}
