import { expect, test } from 'vitest'
import { createMarketplace } from '../../../actors/lib/bazaar/client.ts'
import type { Http } from '../../../src/core/http.ts'

const chunk = new Uint8Array(64 * 1024).fill(0x20)

/** A marketplace whose answers go on for so many chunks of 64 KiB; tells what each call came to, and how many chunks were read. */
async function endless(chunks: number) {
  let read = 0
  const http = (async () => {
    const body = (async function* () {
      for (; read < chunks; read++) yield chunk
      yield new TextEncoder().encode('{"jobs": []}')
    })()
    const bytes = async () => Buffer.concat(await Array.fromAsync(body))
    return { ok: true, status: 200, headers: {}, body, bytes, text: async () => String(await bytes()) }
  }) as unknown as Http
  const market = createMarketplace({ http, api: 'http://market', timeout: 1_000 })
  const { kind } = await market.jobs()
  const ofList = read
  read = 0
  return [kind, ofList, typeof (await market.file('job_1', 'file_1')), read]
}

test('of an answer no more is read than a list or an attachment may have', async () => {
  expect(await endless(2)).toEqual(['ok', 2, 'string', 2])
  expect(await endless(1_000)).toEqual(['away', 256, 'undefined', 4])
})
