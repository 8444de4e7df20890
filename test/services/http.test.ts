import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { httpLimits, toActor, toHost } from '../../src/core/http-wire.ts'
import type { Got } from './actors/client.ts'
import { type Client, openPool, type Pool } from './http-pool.ts'
import { type HttpServer, startHttpServer } from './http-server.ts'

const ways = ['fetch', 'http', 'request'] as const
type Way = (typeof ways)[number]

let server: HttpServer
let pool: Pool
let client: Client
beforeAll(async () => {
  server = await startHttpServer()
  pool = openPool({ retries: 0 })
  client = await pool.client()
})
afterAll(async () => {
  await pool?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const at = (path: string) => `${server.origin}${path}`
const ask = (how: Way, path: string, more: object = {}) => client.run<Got>('ask', { how, url: at(path), ...more })
const fails = (how: Way, url: string, more: object = {}) => client.run<Record<string, unknown>>('fails', { how, url, ...more })

describe.each(ways)('by %s', (how) => {
  test('a request arrives as it was sent, and its answer too', async () => {
    const { status, text } = await ask(how, '/echo?a=1&b=%20', { method: 'PUT', headers: { 'x-one': '1' }, body: 'h\u00e9llo' })
    const { method, search, rawHeaders, body } = JSON.parse(text)
    expect({ status, method, search, body }).toEqual({ status: 200, method: 'PUT', search: '?a=1&b=%20', body: 'hÃ©llo' })
    expect(rawHeaders.map((one: string) => one.toLowerCase())).toEqual(expect.arrayContaining(['x-one', '1', 'content-length', '6']))
  })

  test('repeated headers come one by one', async () => {
    const { headers, cookies, text } = await ask(how, '/repeated')
    const found = { twice: headers['x-twice'], latin: headers['x-latin'], cookies, text }
    expect(found).toEqual({ twice: 'one, two', latin: 'café', cookies: ['a=1', 'b=2'], text: 'ok' })
  })

  test('a header that would be several is refused by its name, and is not sent', async () => {
    const bad = { 'x-title': 'a\nauthorization\nBearer evil', 'x-return': 'a\rb', 'x-name\nauthorization': 'Bearer evil' }
    for (const [name, value] of Object.entries(bad)) {
      const message = `The header ${JSON.stringify(name)} holds a line end or a NUL, expected a name and a value of one line`
      // The built-in fetch does so by itself.
      expect(await fails(how, at('/echo'), { headers: { [name]: value } })).toMatchObject(
        how === 'fetch' ? { outer: 'TypeError' } : { outer: 'TypeError', message },
      )
    }
    expect(await ask(how, '/echo')).toMatchObject({ status: 200 })
  })

  test('a form arrives with its file', async () => {
    const { rawHeaders, body } = await client.run<{ rawHeaders: string[]; body: string }>('form', { how, url: at('/echo') })
    expect(rawHeaders.find((value) => value.startsWith('multipart/form-data; boundary='))).toBeDefined()
    expect(body).toMatch(/name="name"\r\n\r\nvalue\r\n[\s\S]*filename="file.txt"\r\n[\s\S]*contents\r\n/)
  })

  test('a body in chunks arrives whole', async () => {
    const sent = await client.run('upload', { how, url: at('/upload'), bytes: 1_000_000 })
    expect(sent).toMatchObject({ bytes: 1_000_000 })
  })

  test('chunks arrive as they are sent, in order', async () => {
    const { text } = await client.run<{ text: string }>('read', { how, url: at('/sse?n=20&every=1') })
    expect(text).toBe(Array.from({ length: 20 }, (_, n) => `data: ${n}\n\n`).join(''))
  })

  test('an abort before, while nobody answers, and in the middle: the caller sees its reason, and the server the end', async () => {
    expect(await client.run('abort', { how, url: at(`/echo?${how}`), at: 'before' })).toBe('the reason')
    expect(await client.run('abort', { how, url: at(`/silent?${how}`), at: 'head' })).toBe('the reason')
    expect(await client.run('abort', { how, url: at(`/stuck?${how}`), at: 'body' })).toBe('the reason')
    await Promise.all([server.aborted(`/silent?${how}`), server.aborted(`/stuck?${how}`)])
  })

  test('what the network does is told as undici tells it', async () => {
    const socket = { code: 'UND_ERR_SOCKET', classes: expect.arrayContaining(['UndiciError', 'SocketError']) }
    const parser = { name: 'HTTPParserError', classes: ['HTTPParserError'] }
    expect(await fails(how, at('/reset'))).toMatchObject({ code: 'ECONNRESET' })
    expect(await fails(how, at('/cut'))).toMatchObject(how === 'request' || how === 'http' ? socket : { outer: 'TypeError', ...socket })
    expect(await fails(how, `${server.odd}/garbage`)).toMatchObject(parser)
    expect(await fails(how, `${server.odd}/lying`)).toMatchObject({
      classes: expect.arrayContaining(['ResponseContentLengthMismatchError']),
    })
    expect(await fails(how, `${server.odd}/chunks`)).toMatchObject(parser)
    expect(await fails(how, `${server.odd}/nothing`)).toMatchObject(socket)
    expect(await fails(how, 'http://nowhere.invalid/')).toMatchObject({
      code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
      syscall: 'getaddrinfo',
    })
  })
})

describe.each(['fetch', 'http'] as const)('by %s', (how) => {
  test('redirects are followed, and who we are is told to no other origin', async () => {
    const headers = { authorization: 'Bearer mine' }
    const there = await ask(how, `/redirect?to=${encodeURIComponent('/echo?here')}`, { headers })
    expect({ url: there.url, kept: JSON.parse(there.text).rawHeaders.includes('Bearer mine') }).toEqual({
      url: at('/echo?here'),
      kept: true,
    })
    const other = server.origin.replace('127.0.0.1', 'localhost')
    const away = await ask(how, `/redirect?to=${encodeURIComponent(`${other}/echo`)}`, { headers })
    expect({ url: away.url, kept: JSON.parse(away.text).rawHeaders.includes('Bearer mine') }).toEqual({ url: `${other}/echo`, kept: false })
    const seen = await ask(how, `/redirect?status=303&to=/echo`, { method: 'POST', body: 'x' })
    expect(JSON.parse(seen.text)).toMatchObject({ method: 'GET', body: '' })
    const again = await ask(how, `/redirect?status=307&to=/echo`, { method: 'POST', body: 'x' })
    expect(JSON.parse(again.text)).toMatchObject({ method: 'POST', body: 'x' })
    expect(await ask(how, '/redirect?to=/echo', { redirect: 'manual' })).toMatchObject({ status: 302 })
    expect(await fails(how, at('/loop'))).toMatchObject({ message: expect.stringMatching(/redirect/i) })
  })

  test('compressed answers are read as what they were', async () => {
    const whole = 'squeezed '.repeat(1_000)
    expect([(await ask(how, '/gzip')).text === whole, (await ask(how, '/br')).text === whole]).toEqual([true, true])
  })

  test('an answer of nothing is nothing, however it is said to be compressed', async () => {
    expect(await ask(how, '/empty')).toMatchObject({ status: 200, text: '' })
  })

  test('a redirect to a forbidden origin leads nowhere', async () => {
    const narrow = await pool.client({ origins: [server.origin] })
    const url = at(`/redirect?to=${encodeURIComponent(`${server.odd}/garbage`)}`)
    const denied = { code: 'ORIGIN_DENIED', details: { origin: server.odd }, message: expect.stringContaining(server.origin) }
    expect(await narrow.run('fails', { how, url })).toMatchObject(denied)
    expect(pool.events).toContainEqual({ name: 'http:denied', team: 'test', id: narrow.child.spec.id, origin: server.odd })
  })
})

test('a redirect is followed whose own body does not end, and that is ended', async () => {
  expect(await ask('http', '/moving')).toMatchObject({ status: 200, url: at('/echo') })
  await server.aborted('/moving')
})

test('half of a compressed answer is none', async () => {
  expect(await fails('http', at('/half'))).toMatchObject({ message: 'unexpected end of file' })
})

// The built-in fetch sends none.
test.each(['http', 'request'] as const)('a header host leads to no other site behind the same address, by %s', async (how) => {
  const { host } = new URL(server.origin)
  const misnamed = { code: 'ORIGIN_DENIED', message: expect.stringContaining('a header host that names another one') }
  expect(await fails(how, at('/echo'), { headers: { Host: 'evil.example' } })).toMatchObject(misnamed)
  expect(await ask(how, '/echo', { headers: { Host: host } })).toMatchObject({ status: 200 })
})

test('an address and a timeout that are none are refused with what was found and expected', async () => {
  const refused = async (url: string, timeout?: unknown) => (await fails('http', url, { limits: { timeout } })).message
  expect([await refused('/echo'), await refused(at('/echo'), 2 ** 31), await refused(at('/echo'), '5s')]).toEqual([
    'The address of ctx.http is "/echo", expected a whole one, such as https://api.example.com/v1',
    'The timeout of ctx.http is 2147483648, expected a number from 1 to 2147483647',
    'The timeout of ctx.http is "5s", expected a number from 1 to 2147483647',
  ])
  expect(await ask('http', '/echo', { limits: { timeout: 2 ** 31 - 1 } })).toMatchObject({ status: 200 })
})

test('limits of a request are kept by the host', async () => {
  const limits = { headersTimeout: 100 }
  expect(await fails('request', at('/silent?limits'), { limits })).toMatchObject({
    classes: expect.arrayContaining(['HeadersTimeoutError']),
  })
})

test('what a turn leaves unread ends with it', async () => {
  expect(await client.run('leave', { url: at('/stuck?left') })).toBe(true)
  await server.aborted('/stuck?left')
})

const saidBy = ({ lines }: Client) =>
  lines
    .join('')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line).msg]))

test('requests that a turn did not await end with it, which is said once, and their end harms nobody', async () => {
  const hasty = await pool.client()
  expect(await hasty.run('hurry', { silent: at('/silent?hasty'), stuck: at('/stuck?hasty') })).toBe(200)
  await Promise.all(['/silent?hasty', '/stuck?hasty'].map(server.aborted))
  expect(await hasty.run('ask', { how: 'http', url: at('/echo') })).toMatchObject({ status: 200 })
  const said = 'The handler of message "hurry" ended before 3 of its calls, which are given up: await what it starts'
  expect(saidBy(hasty)).toEqual([said])
})

test('a request whose body was not ready when its turn ended is never sent', async () => {
  const rash = await pool.client()
  const { requests } = await server.seen()
  await rash.run('rush', { url: at('/echo?late') })
  await rash.run('form', { how: 'http', url: at('/echo') }) // whose body was begun later, and is there
  const said = 'The handler of message "rush" ended before 1 of its calls, which are given up: await what it starts'
  expect([(await server.seen()).requests - requests, saidBy(rash)]).toEqual([2, [said]]) // the form, and the look at what was seen
})

test('mail of durability: async may ask too; what it asked for ends with it', async () => {
  const { child } = await pool.client()
  const actor = child.spec.id
  const acked = (upTo: number) =>
    new Promise<readonly string[]>((resolve) =>
      child.onFrame((frame) => {
        if (frame.kind === 'acks' && frame.upTo === upTo) resolve(frame.failed.map(({ error }) => `${error.code} ${error.message}`))
      }),
    )
  const items = [
    ['ask', { how: 'http', url: at('/echo?mail') }],
    ['leave', { url: at('/stuck?mail') }],
    ['model', {}],
  ].flatMap(([type, body]) => [String(type), JSON.stringify(body), 'producer'])
  const first = acked(3)
  child.post({ kind: 'mail', actor, first: 1, items })
  expect(await first).toEqual([
    'HANDLER_FAILED ctx.llm.text is for turns, which mail of an agent with durability: async is not: let a job do it, or another agent',
  ])
  await Promise.all([server.started('/echo?mail'), server.aborted('/stuck?mail')])
  const second = acked(4)
  child.post({ kind: 'mail', actor, first: 4, items: ['ask', JSON.stringify({ how: 'http', url: at('/silent?mail') }), 'producer'] })
  await server.started('/silent?mail')
  child.post({ kind: 'abort', actor, code: 'STOPPED', reason: 'enough' })
  expect(await second).toEqual(['STOPPED enough'])
  await server.aborted('/silent?mail')
})

test('nobody replaces the pool by sockets of its own', async () => {
  const narrow = await pool.client({ origins: [] })
  await narrow.run('replace')
  for (const how of ways) expect(await narrow.run('fails', { how, url: at('/echo') })).toMatchObject({ code: 'ORIGIN_DENIED' })
})

test('a killed actor is gone for the server too', async () => {
  const urls = ['/stuck?killed', '/silent?killed']
  const doomed = await Promise.all([pool.client(), pool.client()])
  doomed.forEach((one, index) => void one.run('read', { how: ways[index], url: at(urls[index] ?? '') }).catch(() => {}))
  await Promise.all(urls.map(server.started))
  for (const { child } of doomed) child.kill()
  await Promise.all(urls.map(server.aborted))
})

describe('requests that may be repeated', () => {
  let patient: Pool
  let sender: Client
  beforeAll(async () => {
    patient = openPool({ retries: 2 })
    sender = await patient.client()
  })
  afterAll(() => patient?.[Symbol.asyncDispose]())
  const send = (path: string, more: object = {}) => sender.run<Got>('ask', { how: 'http', url: at(path), ...more })

  test('are, after what the server asks for, and counted', async () => {
    const began = performance.now()
    expect(JSON.parse((await send('/flaky?id=a&fails=1&after=1')).text)).toEqual({ times: 2 })
    expect(performance.now() - began).toBeGreaterThan(900)
    expect(JSON.parse((await send('/flaky?id=b&fails=2&how=reset', { method: 'DELETE' })).text)).toEqual({ times: 3 })
  })

  test('come back as they are when it does not help, or would take too long', async () => {
    expect(await send('/flaky?id=c&fails=9')).toMatchObject({ status: 503, text: 'away' })
    expect(await send('/flaky?id=d&fails=1&after=3600')).toMatchObject({ status: 503 })
  })

  test('are not those that do something each time, nor those whose body is gone', async () => {
    expect(await send('/flaky?id=e&fails=1&how=reset', { method: 'POST', body: 'once' }).catch(({ message }) => message)).toContain(
      'ECONNRESET',
    )
    expect(await send('/flaky?id=f&fails=1', { method: 'PUT', body: 'x'.repeat(70_000) })).toMatchObject({ status: 503 })
  })
})

describe('limits of an agent', () => {
  test('so many requests at a time', async () => {
    const slow = await pool.client({ concurrency: 3 })
    const times = { how: 'http', url: at('/pause'), times: 12 }
    expect(await slow.run('many', times)).toBe(12)
    expect((await server.seen()).mostPaused).toBe(3)
  })

  test('so many a second', async () => {
    const slow = await pool.client({ rate: 20 })
    const began = performance.now()
    expect(await slow.run('many', { how: 'http', url: at('/echo'), times: 30 })).toBe(30)
    // Twenty at once, and ten more at twenty a second.
    expect(performance.now() - began).toBeGreaterThan(450)
  })
})

test('traffic is reported by agent and origin', async () => {
  await using own = openPool({ retries: 0 })
  const counted = await own.client()
  await counted.run('upload', { how: 'http', url: at('/upload'), bytes: 100_000 })
  await counted.run('read', { how: 'http', url: at('/bytes?n=200000') })
  await counted.run('fails', { how: 'http', url: at('/reset') })
  counted.child.kill()
  await counted.child.exited
  await expect
    .poll(() => own.events)
    .toContainEqual(
      expect.objectContaining({
        name: 'http:traffic',
        id: 'client-1',
        origin: server.origin,
        requests: 3,
        failed: 1,
        sent: 100_000,
        retried: 0,
      }),
    )
})

test('secrets are attached on the way, and are nowhere in the thread', async () => {
  const secret = `secret-${'9f27'.repeat(8)}`
  await using own = openPool({ retries: 0, origins: { [server.origin]: { headers: { authorization: `Bearer ${secret}` } } } })
  const trusted = await own.client()
  const { text } = await trusted.run<Got>('ask', { how: 'fetch', url: at('/echo'), headers: { Authorization: 'Bearer mine' } })
  const { rawHeaders } = JSON.parse(text)
  expect([rawHeaders.includes(`Bearer ${secret}`), rawHeaders.includes('Bearer mine')]).toEqual([true, false])
})

test('a body whose sender waits for nothing is cut off, and not taken for a whole one', async () => {
  const port = pool.pool.connect({ team: 'test', id: 'odd', origins: ['*'], concurrency: 1 }, new Promise(() => {}))
  const part = [toHost.data.op, 1, 'x'.repeat(1_000)]
  port.postMessage([toHost.open.op, 1, 'POST', server.origin, '/upload?cut', '', true, null, ...part])
  await server.started('/upload?cut')
  port.postMessage(Array.from({ length: 3 * httpLimits.chunks }, () => part).flat())
  await server.aborted('/upload?cut')
  port.close()
})

test('what else a thread says on its port leads a request and its secrets nowhere else', async () => {
  const other = server.origin.replace('127.0.0.1', 'localhost')
  await using own = openPool({ retries: 0, origins: { [server.origin]: { headers: { 'x-key': 'secret' } } } })
  const port = own.pool.connect({ team: 'test', id: 'odd', origins: [server.origin], concurrency: 1 }, new Promise(() => {}))
  port.postMessage([toHost.open.op, 1, 'GET', server.origin, '/echo', '', null, { origin: other, path: '/echo?other', method: 'POST' }])
  const [[op, , status, , , body]] = await once(port, 'message')
  const { method, search, rawHeaders } = JSON.parse(body)
  expect([op, status, method, search, rawHeaders[rawHeaders.indexOf('host') + 1]]).toEqual([
    toActor.whole.op,
    200,
    'GET',
    '',
    new URL(server.origin).host,
  ])
  port.close()
})
