import { expect, test } from 'vitest'
import { sample, startThread } from './thread.ts'

const printed = Array.from({ length: 1_000 }, (_, line) => `line ${line}`)
const messages = (lines: readonly Record<string, unknown>[]) => lines.map((line) => line.msg)

test('an error thrown in a timer crashes the thread with message, code and stack, and no line of log is lost', async () => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  thread.begin('crash', 'throw')
  const { code, error } = await thread.exited
  expect([code, error]).toEqual([
    1,
    expect.objectContaining({ message: 'out of the blue', code: 'E_BLUE', stack: expect.stringContaining('noisy.ts') }),
  ])
  expect(messages(thread.lines())).toEqual([...printed, 'uncaughtException: out of the blue', 'last words'])
  expect(thread.lines().at(-2)).toMatchObject({ level: 60, actor: 'lab', err: { message: 'out of the blue', code: 'E_BLUE' } })
})

test('a rejection that nobody handles crashes the thread too', async () => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  thread.begin('crash', 'reject')
  const { code, error } = await thread.exited
  expect([code, error]).toEqual([1, expect.objectContaining({ message: 'too much', code: 'BUDGET_EXCEEDED' })])
  expect(messages(thread.lines())).toEqual([...printed, 'unhandledRejection: too much', 'last words'])
})

test('process.exit loses no line', async () => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  thread.begin('crash', 'exit')
  expect(await thread.exited).toEqual({ code: 3, error: undefined })
  expect(messages(thread.lines())).toEqual([...printed, 'last words'])
})

test('a thread that logs without end can be terminated, and what it had posted is there', async () => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  thread.begin('endless')
  await thread.next('log')
  await thread.worker.terminate()
  expect(thread.lines()[0]).toMatchObject({ msg: 'again' })
})

test('log, console and the standard streams become lines of the actor in pino format', async () => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  await thread.turn('log')
  const line = (level: number, msg: string) => ({ level, time: expect.any(Number), actor: 'lab', msg })
  expect(thread.lines()).toEqual([
    line(30, 'plain'),
    {
      ...line(40, 'with fields'),
      market: 'm',
      cyclic: expect.stringContaining('global'),
      err: { type: 'RangeError', message: 'off', stack: expect.stringContaining('noisy.ts') },
    },
    line(50, 'from the console'),
    line(30, '{ a: 1 }'),
    line(50, 'direct'),
  ])
  expect(await thread.next('status')).toEqual({ kind: 'status', actor: 'lab', status: 'blocked', reason: 'rate limit' })
})

test.each([
  ['a NUL and half of a surrogate pair', 'a\0b\ud83d', 'a\u{FFFD}b\u{FFFD}'],
  ['a pair that the limit cuts', `${'x'.repeat(3_999)}😀`, `${'x'.repeat(3_999)}\u{FFFD}`],
  ['no text', { code: 7 }, '[object Object]'],
])('a status whose reason is %s says what the database can hold', async (_, given, said) => {
  await using thread = await startThread()
  await thread.load(sample('noisy'))
  await thread.turn('says', given)
  expect(await thread.next('status')).toMatchObject({ status: 'idle', reason: said })
})
