import { expect, test } from 'vitest'
import { readAnswerJson } from '../../src/worker/answer-json.ts'

test.each([
  ['{"a":1}', { a: 1 }],
  [' [1, 2]\n', [1, 2]],
  ['null', null],
  ['"<think>no</think>"', '<think>no</think>'],
  ['{"a":"```json\\n{}\\n```"}', { a: '```json\n{}\n```' }],
  ['```json\n{"a":1}\n```', { a: 1 }],
  ['Here it is:\n```\n{"a":1}\n```\nAnything else?', { a: 1 }],
  ['Sure! {"a":"b } c"} Good luck [1].', { a: 'b } c' }],
  ['By [source] and {this}: [{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
  ['<think>{"a":0} is too low</think>\n{"a":1}', { a: 1 }],
  ['I should say {"a":0}</think>{"a":1}', { a: 1 }],
  ['{"a":1}<think>is that so?</think>', { a: 1 }],
  ['<think>one</think>x<think>two</think>{"a":{"b":[]}}', { a: { b: [] } }],
])('reads %s', (text, value) => {
  expect(readAnswerJson(text)).toEqual({ value })
})

test.each([
  ['', 'the answer is empty'],
  ['<think>hm</think> ', 'the answer is empty'],
  ['<think>perhaps {"a":1}', 'the answer is empty'],
  ['no idea', 'the answer is not JSON'],
  ['{"items":[{"a":1},{"a":2', 'the answer is not JSON'],
  ['{"items":[{"a":1},{"a":2},]}', 'the answer is not JSON'],
])('finds nothing in %j', (text, issue) => {
  expect(readAnswerJson(text)).toEqual({ issue })
})

test('a hostile answer takes no time', () => {
  const began = performance.now()
  const hostile = [
    '['.repeat(10_000),
    '{"'.repeat(30_000),
    '<think>'.repeat(30_000),
    '```\n'.repeat(30_000),
    '"\\'.repeat(30_000),
    `{"${'\\"'.repeat(200_000)}`,
    '[x]'.repeat(10_000),
  ]
  expect(hostile.map((text) => typeof readAnswerJson(text).issue)).toEqual(hostile.map(() => 'string'))
  expect(performance.now() - began).toBeLessThan(2_000)
})
