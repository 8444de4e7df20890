import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { createSupabaseStore } from '../../src/store/supabase.ts'

const functions = { save: { args: z.object({ p_id: z.int() }), result: z.object({ saved: z.int() }) } }
const relations = { v_things: z.object({ id: z.int() }) }

/** A hosted project that answers as told, one listener after the other; the last one for good. */
async function openStore(listeners: RequestListener[], options: { timeout?: number; attemptTimeout?: number; attempts?: number } = {}) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const listener = listeners.length > 1 ? listeners.shift() : listeners[0]
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      requests.push(`${request.method} ${request.url} ${Buffer.concat(chunks)}`)
      listener?.(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const key = 'sb_secret_0123456789abcdef'
  const store = createSupabaseStore({ kind: 'hosted', url, key, functions, relations, schema: '2', ...options })
  const dispose = async () => {
    await store.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { ...store, requests, key, [Symbol.asyncDispose]: dispose }
}

const answer =
  (status: number, body: unknown): RequestListener =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body))
const hangUp: RequestListener = (request) => void request.socket.destroy()
const silence: RequestListener = () => {}
const saved = answer(200, { saved: 7 })

test('repeats the identical request while the gateway or the connection fails', async () => {
  const away = answer(503, '<html>\n <body>Service  unavailable</body></html>')
  await using store = await openStore([away, hangUp, answer(504, { message: 'timeout' }), answer(429, {}), saved])
  expect(await store.call('save', { p_id: 7 })).toEqual({ saved: 7 })
  expect(new Set(store.requests)).toEqual(new Set(['POST /rest/v1/rpc/save {"p_id":7}']))
  expect(store.requests).toHaveLength(5)
})

test('reads by all conditions of a column', async () => {
  await using store = await openStore([answer(200, [{ id: 2 }])])
  const condition = { in: [1, 2], gt: 1, neq: null }
  expect(await store.read('v_things', { id: condition })).toEqual([{ id: 2 }])
  const { searchParams } = new URL(store.requests[0]?.split(' ')[1] ?? '', 'http://a')
  expect(searchParams.getAll('id')).toEqual(['in.("1","2")', 'gt.1', 'not.is.null'])
})

test('repeats when PostgREST has lost its database', async () => {
  await using store = await openStore([answer(503, { code: 'PGRST001', message: 'no connection' }), answer(500, { code: '08006' }), saved])
  expect(await store.call('save', { p_id: 7 })).toEqual({ saved: 7 })
})

test('gives up after the last attempt, with what the gateway said', async () => {
  await using store = await openStore([answer(502, '<html>\n <body>Bad  gateway</body></html>')], { attempts: 3 })
  await expect(store.call('save', { p_id: 7 })).rejects.toMatchObject({
    code: 'STORE_FAILED',
    message: 'save: <html> <body>Bad gateway</body></html>',
    details: { kind: 'unavailable', code: '', status: 502, function: 'save' },
  })
  expect(store.requests).toHaveLength(3)
})

test('gives a lost answer another try within the time of the call', async () => {
  await using store = await openStore([silence, saved], { attemptTimeout: 100 })
  expect(await store.call('save', { p_id: 7 })).toEqual({ saved: 7 })
})

test('ends in time when nobody answers, and names the cause', async () => {
  await using store = await openStore([silence])
  await expect(store.call('save', { p_id: 7 }, { timeout: 100 })).rejects.toMatchObject({
    message: 'save: no answer in time',
    details: { kind: 'unavailable', status: 0 },
    cause: { name: 'TimeoutError' },
  })
})

test('keeps the reason of a refused connection, and never shows the key', async () => {
  await using store = await openStore([hangUp], { attempts: 1 })
  const error = await store.call('save', { p_id: 7 }).catch((thrown: Error) => thrown)
  expect(error).toMatchObject({ message: 'save: fetch failed: other side closed', details: { kind: 'unavailable', status: 0 } })
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).stack)).not.toContain(store.key)
})

test('leaves it to whoever can wait to repeat what took the database too long', async () => {
  await using store = await openStore([answer(500, { code: '57014', message: 'canceling statement due to statement timeout' }), saved])
  await expect(store.call('save', { p_id: 7 })).rejects.toMatchObject({ details: { kind: 'unavailable', code: '57014' } })
  expect(store.requests).toHaveLength(1)
})

test('does not repeat a wrong key', async () => {
  await using store = await openStore([answer(401, { message: 'Invalid API key', hint: 'Double check' })])
  await expect(store.call('save', { p_id: 7 })).rejects.toMatchObject({ details: { kind: 'denied', status: 401, hint: 'Double check' } })
  expect(store.requests).toHaveLength(1)
})

test('refuses an answer of another shape', async () => {
  await using store = await openStore([answer(200, { saved: 'seven' })])
  await expect(store.call('save', { p_id: 7 })).rejects.toMatchObject({ details: { kind: 'answer', function: 'save' } })
})

test.each([
  [[answer(200, '"1"')], { status: 'unfit', schema: '1', message: expect.stringContaining('troupe db migrate') }],
  [[answer(404, { code: 'PGRST202' })], { status: 'unfit', schema: undefined, message: expect.stringContaining('troupe db migrate') }],
  [[answer(200, '"3"')], { status: 'ok', schema: '3', latency: expect.any(Number) }],
  [[answer(401, { message: 'Invalid API key' })], { status: 'away', message: expect.stringContaining('Invalid API key') }],
  [[hangUp], { status: 'away', message: expect.stringContaining('other side closed') }],
] as const)('tells health %#', async (listeners, health) => {
  await using store = await openStore([...listeners], { attempts: 2 })
  expect(await store.health()).toEqual(health)
})
