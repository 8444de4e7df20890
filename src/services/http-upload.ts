import { httpLimits } from '../core/http-wire.ts'

/** A body on its way from an actor to a server; `onTaken` is called for each chunk that has left. */
export function createUpload(onTaken: () => void) {
  const chunks: Uint8Array[] = []
  let hasEnded = false
  let wake = (): void => {}

  async function* read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = chunks.shift()
      if (chunk) {
        onTaken()
        yield chunk
      } else if (hasEnded) return
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  }

  return {
    body: read(),
    /** False when there is no room: the actor did not wait for it. */
    push(chunk: Uint8Array): boolean {
      if (hasEnded) return true
      chunks.push(chunk)
      wake()
      return chunks.length <= httpLimits.chunks
    },
    end(): void {
      hasEnded = true
      wake()
    },
  }
}
