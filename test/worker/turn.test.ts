import { expect, test } from 'vitest'
import { messageOf } from '../../src/worker/error-data.ts'
import { sample, startThread } from './thread.ts'

const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-[478][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)

test('what a handler sends, creates, writes and sets is collected into its turn', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'), { sql: ['record_performance'] })
  expect(await thread.turn('collect')).toEqual({
    kind: 'done',
    reply: expect.stringMatching(/^\{"job":"[0-9a-f-]{36}"\}$/),
    effects: {
      messages: [
        { id: uuid, to: 'b', type: 'hello', body: '{"n":1}', priority: 'high', expiresIn: 1_000, delay: 11 },
        { id: uuid, to: 'b', type: 'empty', body: 'null' },
        { id: uuid, to: null, type: 'news', body: '["x"]' },
      ],
      jobs: [{ id: uuid, type: 'trade', payload: '{"amount":1}', priority: 2, dedupeKey: 'k', delay: 5, maxAttempts: 4 }],
      writes: [{ fn: 'record_performance', args: '{"period":"daily"}' }],
      timers: [
        { name: 'collect', type: 'collect', body: 'null', every: 1_000, dueIn: 1_000 },
        { name: 'once', type: 'collect', body: '{"late":true}', dueIn: 50 },
        { name: 'old', cancel: true },
      ],
      steps: false,
    },
  })
  expect(thread.requests).toEqual([])
})

test('a ctx says who it is, what it was started with, and which delivery it handles', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'), { args: { any: 1 } })
  const outcome = await thread.turn('look', { q: 1 }, { from: 'a', attempt: 2 })
  expect(outcome.kind === 'done' && JSON.parse(outcome.reply)).toEqual({
    body: { q: 1 },
    self: 'lab',
    args: { any: 1 },
    from: 'a',
    attempt: 2,
    now: true,
    aborted: false,
    id: uuid,
  })
})

test('ids are the same when a delivery is handled again, and differ by delivery', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const ids: string[] = []
  for (const id of ['m1', 'm1', 'm2']) {
    const outcome = await thread.turn('look', null, { id })
    ids.push(outcome.kind === 'done' ? JSON.parse(outcome.reply).id : '')
  }
  expect([ids[0] === ids[1], ids[0] === ids[2]]).toEqual([true, false])
})

test('a handler that throws fails its turn, and nothing it collected is left', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  expect(await thread.turn('collectThenThrow')).toEqual({
    kind: 'threw',
    isFinal: false,
    error: {
      name: 'ActorError',
      code: 'HANDLER_FAILED',
      message: 'The handler of message "collectThenThrow" failed: bad luck: away',
      stack: expect.any(String),
      cause: {
        name: 'TypeError',
        message: 'bad luck',
        stack: expect.stringContaining('lab.ts'),
        cause: { name: 'ActorError', code: 'STORE_FAILED', message: 'away', details: { table: 't' }, stack: expect.any(String) },
      },
    },
  })
  expect(await thread.turn('reply', 'nothing')).toMatchObject({ reply: 'null', effects: { messages: [] } })
})

test('fatal ends all attempts and retry says when the next one comes', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  expect([await thread.turn('fatal'), await thread.turn('retry')]).toMatchObject([
    { kind: 'threw', isFinal: true, error: { code: 'HANDLER_FAILED', message: 'no such market', cause: { message: '404' } } },
    { kind: 'threw', isFinal: false, retryIn: 5_000, error: { code: 'HANDLER_FAILED' } },
  ])
})

test('bodies that are not JSON as the database takes it are refused with their path', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const failures = ['nan', 'promise'].map((body) => thread.turn('reply', body))
  failures.push(thread.turn('tellBad'), thread.turn('tellNobody'), thread.turn('timerForNobody'), thread.turn('denied'))
  const texts = (await Promise.all(failures)).map((outcome) => outcome.kind === 'threw' && `${outcome.error.code} ${outcome.error.message}`)
  expect(texts).toEqual([
    'BODY_INVALID reply.a[1] is NaN, which JSON has no word for',
    'BODY_INVALID reply.p is a Promise: await it',
    'BODY_INVALID body.list[0].size is a BigInt: send it as a string',
    'BODY_INVALID The receiver of ctx.tell is "", expected a text of 1 to 300 characters',
    'HANDLER_NOT_FOUND ctx.every would send "unknown", for which lab has no handler',
    'MODULE_INVALID ctx.db.write may not use "reserve_execution": the actor file\'s list sql has nothing',
  ])
})

test('a message without a handler is dead at once', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'))
  const message = 'lab has no handler for messages of type "constructor"; it has add, slow, bad, total, durable, tellBad, wait, get'
  const job = 'lab has no handler for jobs of type "add"; it has none'
  expect([await thread.turn('constructor'), await thread.turn('add', 1, { source: 'job' })]).toMatchObject([
    { kind: 'threw', isFinal: true, error: { code: 'HANDLER_NOT_FOUND', message } },
    { kind: 'threw', isFinal: true, error: { code: 'HANDLER_NOT_FOUND', message: job } },
  ])
})

test('a body that does not parse is dead at once, with the issues found', async () => {
  await using thread = await startThread()
  await thread.load(sample('keeper'))
  const outcomes = [
    await thread.turn('add', { list: [{ n: 1 }, { n: 'x' }] }),
    await thread.turn('later', { n: -1 }),
    await thread.turn('count', { to: 'x' }, { source: 'job' }),
    await thread.turn('raw', null, { body: '{"half' }),
  ]
  expect(outcomes.map((outcome) => outcome.kind === 'threw' && [outcome.isFinal, outcome.error.code, outcome.error.message])).toEqual([
    [true, 'BODY_INVALID', expect.stringMatching(/^body\.name: Invalid input.*; body\.list\[1\]\.n: Invalid input/)],
    [true, 'BODY_INVALID', 'body: must be positive'],
    [true, 'BODY_INVALID', expect.stringMatching(/^input\.to: /)],
    [true, 'BODY_INVALID', expect.stringMatching(/^body is not JSON: /)],
  ])
})

test('schemas fill in what they fill in, also when they take their time', async () => {
  await using thread = await startThread()
  await thread.load(sample('keeper'))
  expect([
    await thread.turn('add', { name: 'a' }),
    await thread.turn('later', { n: 2 }),
    await thread.turn('count', { to: '12' }, { source: 'job', from: null }),
  ]).toMatchObject([{ reply: '{"seen":8,"names":["a"],"length":0}' }, { reply: '2' }, { reply: '{"to":12,"from":null,"state":8}' }])
})

test('a state that is saved goes with the turn that replaced it, and a failed turn leaves the one before', async () => {
  await using thread = await startThread()
  await thread.load(sample('keeper'))
  const states: unknown[] = []
  for (const name of ['a', 'bad', 'map', 'date']) {
    const outcome = await thread.turn('add', { name })
    states.push(outcome.kind === 'done' ? outcome.effects.state : outcome.error.message)
  }
  states.push(await thread.turn('raw', null))
  expect(states).toEqual([
    '{"seen":8,"names":["a"]}',
    'The handler of message "add" failed: after the change',
    'state.names is of the kind Map, which is not JSON',
    '{"seen":9,"names":["a","date"],"at":"1970-01-01T00:00:00.000Z"}',
    expect.objectContaining({
      reply: '{"body":null,"state":{"seen":9,"names":["a","date"],"at":"1970-01-01T00:00:00.000Z"}}',
      effects: { messages: [], jobs: [], writes: [], timers: [], steps: false },
    }),
  ])
})

test('what a handler throws is told, whatever it is', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const outcomes = [await thread.turn('throwBody', 'out of stock'), await thread.turn('throwBody', { status: 404 })]
  expect(outcomes.map((outcome) => outcome.kind === 'threw' && outcome.error.message)).toEqual([
    `The handler of message "throwBody" failed: it threw 'out of stock', which is not an Error`,
    'The handler of message "throwBody" failed: it threw { status: 404 }, which is not an Error',
  ])
})

test('an error is told with its cause, unless it says that itself', () => {
  const cause = new Error('"a" may not connect to http://b')
  const errors = [
    new TypeError('fetch failed', { cause }),
    new Error(`No: ${cause.message}`, { cause }),
    new Error('No', { cause: 404 }),
    Object.assign(new Error('No'), { message: 404 }),
  ]
  expect(errors.map(messageOf)).toEqual([`fetch failed: ${cause.message}`, `No: ${cause.message}`, 'No', '404'])
})

test('a state that is mutated instead of replaced fails the turn', async () => {
  await using thread = await startThread()
  await thread.load(sample('keeper'))
  expect([await thread.turn('mutateTop'), await thread.turn('mutateDeep'), await thread.turn('raw')]).toMatchObject([
    { kind: 'threw', error: { message: expect.stringContaining('Cannot assign to read only property') } },
    { kind: 'threw', error: { message: expect.stringContaining('object is not extensible') } },
    { reply: '{"body":null,"state":{"seen":7,"names":[]}}' },
  ])
})

test('turns are handled one at a time, in the order in which they came', async () => {
  await using thread = await startThread((request) => ({ ok: true, value: request.kind === 'ask' ? '"answer"' : null }))
  await thread.load(sample('lab'))
  const asking = thread.begin('asks', ['b'])
  await Promise.all([thread.turn('look'), thread.turn('look'), thread.ended(asking)])
  expect(thread.frames.flatMap((frame) => (frame.kind === 'ended' ? [frame.turn] : []))).toEqual([1, 2, 3])
})
