import { expect, test } from 'vitest'
import { byName, createHeaderReader, createHeaderWriter, headerIn } from '../../src/core/headers.ts'

test('headers that come again are read and written as if they came for the first time', () => {
  const [read, write] = [createHeaderReader(), createHeaderWriter()]
  const fixed = Object.freeze(['a', '1', 'b', '2'])
  const free = ['c', '3']
  const texts = [fixed, fixed, free, fixed, free, [], fixed].map((headers) => write(headers))
  free[1] = '4'
  texts.push(write(free), write(fixed))
  expect(texts).toEqual(['a\n1\nb\n2', 'a\n1\nb\n2', 'c\n3', 'a\n1\nb\n2', 'c\n3', '', 'a\n1\nb\n2', 'c\n4', 'a\n1\nb\n2'])
  expect(texts.map((text) => read(text).join('\n'))).toEqual(texts)
  expect(() => (read('a\n1') as string[]).push('x')).toThrow()
})

test('a header that would be read as several is not written', () => {
  const write = createHeaderWriter()
  for (const bad of [Object.freeze(['a', '1\n2']), ['a', '1\r'], ['a', '\0'], ['a\nb', '1']]) {
    expect(() => write(['ok', 'fine', ...bad])).toThrow(TypeError)
    expect(() => write(bad)).toThrow(`The header ${JSON.stringify(bad[0])} holds`)
  }
})

test('headers are found by name, whatever their case', () => {
  const headers = ['Set-Cookie', 'a', 'X-One', '1', 'set-cookie', 'b']
  expect([headerIn(headers, 'set-cookie'), headerIn(headers, 'x-one'), headerIn(headers, 'x-two')]).toEqual(['a', '1', undefined])
  expect(byName(headers)).toEqual({ 'set-cookie': 'a, b', 'x-one': '1' })
})
