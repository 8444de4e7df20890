import { expect, test } from 'vitest'
import type { Answer, Request } from '../../src/core/frames.ts'
import { done, sample, startThread } from './thread.ts'

const ok = (value: unknown): Answer => ({ ok: true, value: JSON.stringify(value) })
const keyOf = (request: Request) => ('key' in request ? request.key : '')

function answerAll(request: Request): Answer {
  switch (request.kind) {
    case 'ask':
      return ok({ price: 1 })
    case 'function':
      return ok({ agents: 2 })
    case 'read':
      return ok([{ id: 3 }])
    case 'send':
    case 'stepStart':
    case 'stepFinish':
      return done
  }
}

test('what leaves at once is asked for in order, and answers come back as values', async () => {
  await using thread = await startThread(answerAll)
  await thread.load(sample('lab'), { sql: ['record_performance', 'v_active_jobs'] })
  const outcome = await thread.turn('requests', { note: 'n' }, { id: 'm1' })
  expect(outcome).toMatchObject({
    reply: '{"answer":{"price":1},"result":{"agents":2},"rows":[{"id":3}]}',
    effects: { messages: [], steps: true },
  })
  const now = { id: expect.any(String), to: 'b', type: 'now', body: '{"note":"n"}' }
  expect(thread.requests).toEqual([
    { kind: 'send', key: expect.stringMatching(/^send:[\w-]{43}:1$/), message: now },
    { kind: 'send', key: expect.stringMatching(/^send:[\w-]{43}:2$/), message: now },
    { kind: 'ask', key: expect.stringMatching(/^ask:[\w-]{43}:1$/), message: { ...now, type: 'price' }, timeout: 900 },
    { kind: 'function', key: expect.stringMatching(/^call:[\w-]{43}:1$/), fn: 'record_performance', args: '{"period":"daily"}' },
    { kind: 'read', relation: 'v_active_jobs', filter: '{"status":"pending"}', options: '{"limit":3}' },
  ])
})

test('a read with a filter that the store could not write is refused, and not asked for', async () => {
  await using thread = await startThread(answerAll)
  await thread.load(sample('lab'), { sql: ['v_active_jobs'] })
  const message = "The filter.id of ctx.db.read is { in: 'x' }, expected a list of values for in"
  expect(await thread.turn('readWrongly')).toMatchObject({ kind: 'threw', error: { code: 'BODY_INVALID', message } })
  expect(thread.requests).toEqual([])
})

test('a repeated turn makes the same keys and ids; another body, delivery or agent makes others', async () => {
  await using thread = await startThread(answerAll)
  const requestsOf = async (note: string, id: string) => {
    const before = thread.requests.length
    await thread.turn('requests', { note }, { id })
    return thread.requests
      .slice(before)
      .flatMap((request) => ('message' in request ? [request.key, request.message.id] : keyOf(request) || []))
  }
  const load = { sql: ['record_performance', 'v_active_jobs'] }
  await thread.load(sample('lab'), load)
  const first = await requestsOf('n', 'm1')
  const same = await requestsOf('n', 'm1')
  const otherBody = await requestsOf('o', 'm1')
  const otherDelivery = await requestsOf('n', 'm2')
  expect([new Set(first).size, same]).toEqual([7, first])
  // The function call has no body of its own: it is the same on both paths.
  expect([first.filter((key) => otherBody.includes(key)).length, first.filter((key) => otherDelivery.includes(key)).length]).toEqual([1, 0])
})

test('asks run side by side and each gets its own answer', async () => {
  await using thread = await startThread((request) => (request.kind === 'ask' ? ok(`from ${request.message.to}`) : done))
  await thread.load(sample('lab'))
  expect(await thread.turn('asks', ['b', 'c'])).toMatchObject({ reply: '["from b","from c"]' })
})

test('an ask that fails throws an ActorError with its code, details and cause', async () => {
  const error = {
    name: 'ActorError',
    code: 'HANDLER_FAILED',
    message: 'b could not',
    details: { attempts: 3 },
    cause: { name: 'TypeError', message: 'x', code: 'E_X' },
  }
  await using thread = await startThread(() => ({ ok: false, error }))
  await thread.load(sample('lab'))
  expect(await thread.turn('asks', ['b'])).toMatchObject({ kind: 'threw', isFinal: false, error })
})

test('a step saves its start, runs, and saves its result, which comes back as JSON gives it', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  expect(await thread.turn('step', {})).toMatchObject({
    reply: '{"result":{"at":"1970-01-01T00:00:00.000Z"},"runs":1}',
    effects: { steps: true },
  })
  expect(thread.requests).toEqual([
    { kind: 'stepStart', key: 'step:work' },
    { kind: 'stepFinish', key: 'step:work', result: '{"at":"1970-01-01T00:00:00.000Z"}' },
  ])
})

test('a repeat that finds a result does not run the step', async () => {
  await using thread = await startThread(() => ({ ok: true, value: '{"at":"then"}', known: 'finished' }))
  await thread.load(sample('lab'))
  expect(await thread.turn('step', { once: true })).toMatchObject({ reply: '{"result":{"at":"then"},"runs":0}' })
  expect(thread.requests).toHaveLength(1)
})

test('a repeat that finds only a start runs the step again, or with once throws STEP_UNKNOWN', async () => {
  await using thread = await startThread((request) => (request.kind === 'stepStart' ? { ...done, known: 'started' } : done))
  await thread.load(sample('lab'))
  expect(await thread.turn('step', {})).toMatchObject({ reply: '{"result":{"at":"1970-01-01T00:00:00.000Z"},"runs":1}' })
  expect(await thread.turn('step', { once: true })).toMatchObject({
    kind: 'threw',
    isFinal: false,
    error: { code: 'STEP_UNKNOWN', message: 'Step "work" of message "step" was started before, and nobody knows how it ended' },
  })
})

test('a step that fails keeps its start and nothing else', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  expect(await thread.turn('step', { fail: true })).toMatchObject({ kind: 'threw', error: { cause: { message: 'step failed' } } })
  expect(thread.requests).toEqual([{ kind: 'stepStart', key: 'step:work' }])
})

test('two steps of one name in a turn are refused', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  expect(await thread.turn('twice')).toMatchObject({ kind: 'threw', error: { code: 'STEP_DUPLICATE' } })
})

test('an abort aborts the signal with its code, and what the turn starts afterwards is refused with it', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const turn = thread.begin('wait')
  thread.post({ kind: 'abort', actor: 'lab', code: 'TURN_TIMEOUT', reason: 'over 5 minutes' })
  expect(await thread.ended(turn)).toMatchObject({
    kind: 'threw',
    isFinal: false,
    error: { code: 'TURN_TIMEOUT', message: 'over 5 minutes' },
  })
  expect(thread.requests).toEqual([])
  expect(await thread.turn('look')).toMatchObject({ reply: expect.stringContaining('"aborted":false') })
})

test('an abort ends the wait for an answer that does not come', async () => {
  await using thread = await startThread(() => undefined)
  await thread.load(sample('lab'))
  const turn = thread.begin('wait', 'ask')
  await thread.next('call')
  thread.post({ kind: 'abort', actor: 'lab', code: 'LEASE_LOST', reason: 'taken over' })
  expect(await thread.ended(turn)).toMatchObject({ kind: 'threw', error: { code: 'LEASE_LOST' } })
})
