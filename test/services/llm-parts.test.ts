import { expect, test } from 'vitest'
import { failureOfConnection, parseRetryAfter } from '../../src/services/llm-failure.ts'
import { fence } from '../../src/services/llm-fence.ts'
import { createGate } from '../../src/services/llm-gate.ts'
import { estimateTokens } from '../../src/services/llm-prompt.ts'
import { llmEnvironment } from '../../src/sources/llm-environment.ts'

const fireworks = 'https://api.fireworks.ai/inference/v1'

test('a mark that a text contains is drawn again', () => {
  const words = ['a1', 'b2', 'c3']
  const { blocks } = fence({ one: 'knows a1', two: 'knows b2' }, () => words.shift() ?? '')
  expect(blocks).toBe('[begin one c3]\nknows a1\n[end one c3]\n\n[begin two c3]\nknows b2\n[end two c3]')
})

test('tokens are estimated by bytes, so that no script is taken for cheaper than it is', () => {
  expect(['', 'seven b', 'привет', '你好'].map(estimateTokens)).toEqual([0, 2, 4, 2])
})

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-03-01T12:00:00Z')
  const headers = ['2', '0.5', 'Sun, 01 Mar 2026 12:00:07 GMT', 'Sun, 01 Mar 2026 11:00:00 GMT', 'soon', '', null]
  expect(headers.map((header) => parseRetryAfter(header, now))).toEqual([2_000, 500, 7_000, 0, undefined, undefined, undefined])
})

test('what never left costs nothing, what may have arrived might', () => {
  const failed = (code: string) => failureOfConnection(new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) }))
  expect(['ECONNREFUSED', 'ENOTFOUND', 'ECONNRESET', 'UND_ERR_SOCKET'].map((code) => failed(code).isPaid)).toEqual([
    false,
    false,
    true,
    true,
  ])
})

test('a key goes where it belongs', () => {
  const keyOf = (env: Record<string, string>) => {
    const { baseUrl, key, keyName, blocked } = llmEnvironment(env)
    return [baseUrl, key, keyName, blocked === undefined]
  }
  const own = 'http://models.local/v1'
  expect([
    keyOf({}),
    keyOf({ FIREWORKS_API_KEY: 'fw' }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_API_KEY: ' own ' }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_BASE_URL: `${own}/` }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_BASE_URL: own, LLM_API_KEY: 'own' }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_BASE_URL: fireworks }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_BASE_URL: 'https://api.fireworks.ai.evil.example/v1' }),
    keyOf({ FIREWORKS_API_KEY: 'fw', LLM_BASE_URL: 'http://api.fireworks.ai/v1' }),
  ]).toEqual([
    [fireworks, undefined, 'FIREWORKS_API_KEY', false],
    [fireworks, 'fw', 'FIREWORKS_API_KEY', true],
    [fireworks, 'own', 'LLM_API_KEY', true],
    [own, undefined, 'LLM_API_KEY', true],
    [own, 'own', 'LLM_API_KEY', true],
    [fireworks, 'fw', 'FIREWORKS_API_KEY', true],
    ['https://api.fireworks.ai.evil.example/v1', undefined, 'LLM_API_KEY', true],
    ['http://api.fireworks.ai/v1', undefined, 'LLM_API_KEY', true],
  ])
})

test.each([
  { LLM_BASE_URL: 'models.local' },
  { LLM_BASE_URL: 'ftp://models.local' },
  { LLM_BASE_URL: 'https://me:secretword@models.local/v1' },
  { LLM_BASE_URL: 'https://models.local/v1?key=secretword' },
  { LLM_API_KEY: 'secretword\nX-Other: 1' },
  { FIREWORKS_API_KEY: 'secretword ü' },
])('refuses %j by name and does not show it', (env) => {
  const [name] = Object.keys(env)
  const message = expect.stringMatching(new RegExp(`^${name}: (?!.*secretword)`))
  expect(() => llmEnvironment(env)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }))
})

test('who has left the line gets no place, the next one does', async () => {
  const gate = createGate({ concurrency: 1, queue: 2 })
  const patient = new AbortController().signal
  const hasty = new AbortController()
  const leave = await gate.enter(patient)
  const [gone, next] = [gate.enter(hasty.signal), gate.enter(patient)]
  const full = gate.enter(patient)
  hasty.abort(new Error('over'))
  const ends = await Promise.allSettled([gone, full])
  leave()
  const leaveToo = await next
  leaveToo()
  expect([ends.map(({ status }) => status), typeof (await gate.enter(patient))]).toEqual([['rejected', 'rejected'], 'function'])
})
