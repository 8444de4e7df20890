import { expect, test } from 'vitest'
import { ActorError } from '../../src/core/errors.ts'
import { fromErrorData, toErrorData } from '../../src/worker/error-data.ts'
import { toJson } from '../../src/worker/json.ts'

function refusal(value: unknown): string {
  try {
    return `accepted ${toJson(value, 'body').slice(0, 40)}`
  } catch (error) {
    return error instanceof ActorError ? `${error.code} ${error.message}` : String(error)
  }
}

test('values that JSON keeps are written as they are', () => {
  const kept = [
    undefined,
    null,
    0,
    'é😀',
    [undefined, true],
    { gone: undefined, date: new Date(0) },
    Object.create(null),
    new (class Point {
      x = 1
    })(),
  ]
  expect(kept.map((value) => toJson(value, 'body'))).toEqual([
    'null',
    'null',
    '0',
    '"é😀"',
    '[null,true]',
    '{"date":"1970-01-01T00:00:00.000Z"}',
    '{}',
    '{"x":1}',
  ])
})

test('values that JSON would lose, and the database would refuse, are refused with their path', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.own = { back: [cyclic] }
  let deep: unknown = 1
  for (let depth = 0; depth < 1_000; depth += 1) deep = { deep }
  const lost = [
    Number.NaN,
    [1n],
    { f: () => 1 },
    { 'odd key': Symbol('s') },
    cyclic,
    { m: [new Map()] },
    new Error('x'),
    { a: { p: Promise.resolve() } },
  ]
  expect(lost.map(refusal)).toEqual([
    'BODY_INVALID body is NaN, which JSON has no word for',
    'BODY_INVALID body[0] is a BigInt: send it as a string',
    'BODY_INVALID body.f is a function, which is not JSON',
    'BODY_INVALID body["odd key"] is a symbol, which is not JSON',
    'BODY_INVALID body.own.back[0] is part of itself',
    'BODY_INVALID body.m[0] is of the kind Map, which is not JSON',
    'BODY_INVALID body is of the kind Error, which is not JSON',
    'BODY_INVALID body.a.p is a Promise: await it',
  ])
  expect([refusal({ a: ['x\0'] }), refusal({ '\ud800': 1 }), refusal(['half \udc00'])]).toEqual([
    'BODY_INVALID body.a[0] contains a NUL character',
    expect.stringMatching(/contains half of a surrogate pair$/),
    'BODY_INVALID body[0] contains half of a surrogate pair',
  ])
  expect(refusal(deep)).toMatch(/^BODY_INVALID body(\.deep)+ is nested too deeply$/)
})

test('1 MiB of UTF-8 is the limit', () => {
  const fits = 'x'.repeat(2 ** 20 - 2)
  expect([refusal(fits), refusal(`${fits}x`), refusal('é'.repeat(2 ** 19 - 1)), refusal('é'.repeat(2 ** 19))]).toEqual([
    expect.stringMatching(/^accepted/),
    'BODY_INVALID body is more than 1 MiB of JSON (1048577 characters)',
    expect.stringMatching(/^accepted/),
    'BODY_INVALID body is more than 1 MiB of JSON (524290 characters)',
  ])
})

test('errors cross as data and come back with name, code, details and causes', () => {
  const cause = Object.assign(new TypeError('inner'), { code: 'E_INNER' })
  const back = fromErrorData(toErrorData(new ActorError('ASK_TIMEOUT', 'outer', { cause, details: { after: 5 } })))
  expect(back).toBeInstanceOf(ActorError)
  expect(back).toMatchObject({
    code: 'ASK_TIMEOUT',
    message: 'outer',
    details: { after: 5 },
    cause: { name: 'TypeError', code: 'E_INNER' },
  })
})

test('error data is bounded and fit for the database, whatever was thrown', () => {
  let error: Error = new Error('\0 and \ud800')
  for (let depth = 0; depth < 20; depth += 1) error = new Error('x'.repeat(100_000), { cause: error })
  const text = JSON.stringify(toErrorData(error))
  expect([text.length < 100_000, toErrorData('text').message, toErrorData(undefined).message]).toEqual([
    true,
    "Thrown: 'text'",
    'Thrown: undefined',
  ])
  expect(toErrorData(new Error('\0 and \ud800')).message).toBe('\u{FFFD} and \u{FFFD}')
})
