import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { toErrorData } from '../../src/worker/error-data.ts'
import { createManualClock } from '../host/manual-clock.ts'
import { openPool } from './http-pool.ts'
import { caller, failureOf, key, llmAt } from './llm-service.ts'
import { type Behaviour, startModelServer } from './model-server.ts'

test('asks the model and records what it used', async () => {
  await using server = await startModelServer()
  const { ask, events, service } = llmAt(server.url, { settings: { prices: { m: { input: 2, output: 4 } } } })
  const answer = await ask({ system: 'Be brief.', maxTokens: 50, temperature: 0.5 })
  const used = { model: 'm', inputTokens: 10, outputTokens: 5, usd: 0.00004 }
  expect({ answer, asked: server.asked, events, usage: service.usage() }).toEqual({
    answer: { text: 'Well.', isCut: false, model: 'm', usage: { inputTokens: 10, outputTokens: 5, usd: 0.00004 } },
    asked: [
      {
        path: '/v1/chat/completions',
        authorization: `Bearer ${key}`,
        body: {
          model: 'm',
          max_tokens: 50,
          temperature: 0.5,
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'Say something.' },
          ],
        },
      },
    ],
    events: [
      {
        name: 'llm:used',
        team: 'trading',
        id: 'scanner',
        source: 'message',
        handled: 'm1',
        type: 'scan',
        ...used,
        requests: 1,
        isEstimated: false,
        ms: expect.any(Number),
      },
    ],
    usage: [{ team: 'trading', agent: 'scanner', calls: 1, inputTokens: 10, outputTokens: 5, usd: 0.00004 }],
  })
})

test('estimates what an endpoint does not count', async () => {
  await using server = await startModelServer([{ kind: 'answer', text: 'x'.repeat(35), usage: null }])
  const { ask, events } = llmAt(server.url)
  const { usage } = await ask({ prompt: 'y'.repeat(70) })
  expect([usage, events[0]]).toEqual([{ inputTokens: 20, outputTokens: 10, usd: null }, expect.objectContaining({ isEstimated: true })])
})

test('asks again when the fault may pass', async () => {
  const faults: readonly Behaviour[] = [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 429 },
  ]
  await using server = await startModelServer(faults)
  const { ask, events } = llmAt(server.url)
  expect([(await ask()).text, server.asked.length, events.map((event) => event.name === 'llm:used' && event.requests)]).toEqual([
    'Well.',
    3,
    [3],
  ])
})

test('gives up after three requests', async () => {
  await using server = await startModelServer([], { kind: 'status', status: 503 })
  const { ask, events } = llmAt(server.url)
  const failure = await failureOf(ask())
  expect({ failure, asked: server.asked.length, events }).toEqual({
    failure: {
      code: 'MODEL_FAILED',
      message: `The model at ${new URL(server.url).host} failed 3 times: it answered 503: fault 503`,
      details: { requests: 3, status: 503 },
    },
    asked: 3,
    events: [],
  })
})

test.each([
  ['400', { kind: 'status', status: 400 }],
  ['403', { kind: 'status', status: 403 }],
  ['a redirect', { kind: 'status', status: 307, headers: { location: 'http://127.0.0.1:1/' } }],
  ['an answer without choices', { kind: 'raw', body: '{"id":"1","choices":[]}' }],
  ['an answer of another protocol', { kind: 'raw', body: '{"answer":"Well."}' }],
  ['a huge answer', { kind: 'answer', text: 'x'.repeat(5_000_000) }],
] as const satisfies readonly (readonly [string, Behaviour])[])('does not ask again after %s', async (_, behaviour) => {
  await using server = await startModelServer([behaviour])
  const { code } = await failureOf(llmAt(server.url).ask())
  expect([code, server.asked.length]).toEqual(['MODEL_FAILED', 1])
})

test.each(['head', 'body'] as const)('asks again when the connection is cut at the %s, and counts what may have been paid', async (at) => {
  await using server = await startModelServer([{ kind: 'cut', at }])
  const { ask, events } = llmAt(server.url)
  const answer = await ask({ prompt: 'y'.repeat(35), maxTokens: 100 })
  expect([answer.text, answer.usage, events.length]).toEqual(['Well.', { inputTokens: 20, outputTokens: 105, usd: null }, 1])
})

test('asks again when the answer is no JSON', async () => {
  await using server = await startModelServer([{ kind: 'raw', body: '{"id":"1","choi' }])
  expect([(await llmAt(server.url).ask()).text, server.asked.length]).toEqual(['Well.', 2])
})

test('waits as long as the endpoint asks, but not beyond its own time', async () => {
  const busy = (after: string): Behaviour => ({ kind: 'status', status: 429, headers: { 'retry-after': after } })
  await using server = await startModelServer([busy('0.2'), { kind: 'answer', text: 'Well.' }, busy('30')])
  const { ask } = llmAt(server.url)
  const began = performance.now()
  await ask()
  const waited = performance.now() - began
  const { code, details } = await failureOf(ask({ timeout: 20_000 }))
  // A timer may be a fraction of a millisecond early.
  expect([waited > 199, code, details, server.asked.length]).toEqual([
    true,
    'MODEL_FAILED',
    { requests: 1, status: 429, retryAfter: 30_000 },
    3,
  ])
})

test('ends a request that takes too long, and counts what it may have cost', async () => {
  await using server = await startModelServer([{ kind: 'hold' }])
  const clock = createManualClock()
  const { ask, events } = llmAt(server.url, { clock })
  const asked = failureOf(ask({ maxTokens: 7 }))
  await expect.poll(() => server.asked.length).toBe(1)
  await clock.pass(60_000)
  expect([await asked, events]).toEqual([
    {
      code: 'MODEL_FAILED',
      message: 'The model did not answer within 60000 ms',
      details: { reason: 'timeout', timeout: 60_000, requests: 1 },
    },
    [expect.objectContaining({ outputTokens: 7, isEstimated: true, ms: 60_000 })],
  ])
  await expect.poll(() => server.now.gone).toBe(1)
})

test('a turn that ends takes its request and its place in the line with it', async () => {
  const held = Promise.withResolvers<void>()
  await using server = await startModelServer([{ kind: 'hold' }, { kind: 'hold', until: held.promise }])
  const { ask } = llmAt(server.url, { settings: { concurrency: 2, queue: 1 } })
  const turn = new AbortController()
  const running = failureOf(ask({}, caller(), turn.signal))
  await expect.poll(() => server.asked.length).toBe(1)
  const other = ask()
  await expect.poll(() => server.asked.length).toBe(2)
  const waiting = failureOf(ask({}, caller(), turn.signal))
  const refused = await failureOf(ask())
  turn.abort(new Error('over'))
  held.resolve()
  expect([(await running).message, (await waiting).message, refused.details, (await other).text, (await ask()).text]).toEqual([
    'over',
    'over',
    { reason: 'queue_full' },
    'At last.',
    'Well.',
  ])
  await expect.poll(() => server.now.gone).toBe(1)
  expect([server.asked.length, server.now.most]).toEqual([3, 2])
})

test('a prompt that is too long is refused before it is paid', async () => {
  await using server = await startModelServer()
  const { ask } = llmAt(server.url, { settings: { maxPromptTokens: 100 } })
  const failure = await failureOf(ask({ prompt: 'short', untrusted: { page: 'é'.repeat(350) } }))
  expect([failure.code, failure.message, server.asked.length]).toEqual([
    'MODEL_FAILED',
    expect.stringMatching(/^The prompt has about 2\d\d tokens, more than llm\.maxPromptTokens allows \(100\)$/),
    0,
  ])
})

test('without a key nobody is asked, and the reason is told', async () => {
  const { ask } = llmAt('', { env: { LLM_API_KEY: '' }, fetch: () => Promise.reject(new Error('asked')) })
  const reason = 'no key for models: set FIREWORKS_API_KEY, or LLM_BASE_URL and LLM_API_KEY'
  expect(await failureOf(ask())).toEqual({ code: 'BLOCKED', message: reason, details: { reason } })
})

test('an endpoint of its own may be asked without a key', async () => {
  await using server = await startModelServer([
    { kind: 'answer', text: 'Well.' },
    { kind: 'status', status: 401, body: '{"error":"who?"}' },
  ])
  const { ask } = llmAt(server.url, { env: { LLM_API_KEY: '', FIREWORKS_API_KEY: 'fw_for_fireworks_only' } })
  await ask()
  const failure = await failureOf(ask())
  const host = new URL(server.url).host
  const reason = `${host} does not take LLM_API_KEY for its models: it answered 401: who?`
  expect([server.asked.map(({ authorization }) => authorization), failure]).toEqual([
    [undefined, undefined],
    { code: 'BLOCKED', message: reason, details: { reason, requests: 1, status: 401 } },
  ])
})

test('the key is nowhere but in the request', async () => {
  const padding = 'x'.repeat(490)
  const telltale: readonly Behaviour[] = [
    { kind: 'status', status: 401, body: JSON.stringify({ error: { message: `${padding} wrong key ${key}` } }) },
    { kind: 'status', status: 400, body: `Bearer ${key} ${padding}` },
    { kind: 'raw', body: `{"echo":"Bearer ${key}"` },
    { kind: 'raw', body: `{"echo":"Bearer ${key}"}` },
    { kind: 'answer', text: `You are ${key}.` },
  ]
  await using server = await startModelServer(telltale)
  const { service, events } = llmAt(server.url, { settings: {} })
  const seen: unknown[] = [events, service.usage()]
  const breaking = llmAt(server.url, { fetch: () => Promise.reject(new TypeError(`"Bearer ${key}" is no header`)) })
  const collect = (work: Promise<unknown>) =>
    work.then(
      (value) => seen.push(value),
      (error) => seen.push(error, toErrorData(error)),
    )
  for (const _ of [1, 2, 3, 4]) await collect(service.use(caller(), { prompt: 'p' }, new AbortController().signal))
  await collect(breaking.ask({ timeout: 50 }))
  const shown = inspect(seen, { depth: 20, showHidden: true, maxStringLength: null }) + JSON.stringify(seen)
  expect([shown.includes('sk-very'), shown.includes('[key]'), server.asked.length]).toEqual([false, true, 5])
})

test.each([
  [{ prompt: '' }, 'prompt: '],
  [{ untrusted: { 'a b]': 'x' } }, 'untrusted.a b]: '],
  [{ temperature: 3 }, 'temperature: '],
  [{ tools: [] }, 'options: Unrecognized key: "tools"'],
  [{ timeout: Infinity }, 'timeout: '],
])('options that are none are refused by name: %j', async (options, words) => {
  const failure = await failureOf(llmAt('http://127.0.0.1:1').ask(options))
  expect([failure.code, failure.message.startsWith(`ctx.llm: ${words}`)]).toEqual(['BODY_INVALID', true])
})

test('every request goes through the given fetch, to the endpoint', async () => {
  await using server = await startModelServer([
    { kind: 'status', status: 500 },
    { kind: 'status', status: 400 },
  ])
  const called: string[] = []
  const original = globalThis.fetch
  globalThis.fetch = () => Promise.reject(new Error('the global fetch was used'))
  try {
    const { ask } = llmAt(server.url, {
      fetch(input, init) {
        called.push(String(input))
        return original(input, init)
      },
    })
    await failureOf(ask())
  } finally {
    globalThis.fetch = original
  }
  const address = `${server.url}/chat/completions`
  expect(called).toEqual([address, address])
})

test('the key of the models counts more than one that the pool has for their origin, which is for what has none', async () => {
  await using server = await startModelServer()
  await using own = openPool({ origins: { [new URL(server.url).origin]: { headers: { authorization: 'Bearer of-the-origin' } } } })
  const { fetch } = own.pool
  await llmAt(server.url, { fetch }).ask()
  await llmAt(server.url, { fetch, env: { LLM_API_KEY: '' } }).ask()
  expect(server.asked.map(({ authorization }) => authorization)).toEqual([`Bearer ${key}`, 'Bearer of-the-origin'])
})
