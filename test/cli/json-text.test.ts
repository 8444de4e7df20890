import { expect, test } from 'vitest'
import { parseJson } from '../../src/cli/json-text.ts'

const faultOf = (json: string) => {
  try {
    return parseJson(json, 'body')
  } catch (error) {
    return (error as Error).message.split('\nhint: ')
  }
}

test('takes JSON as it is', () => {
  expect(['0', '"a"', ' {"a": [1, null]}\n'].map((json) => parseJson(json, 'body'))).toEqual([0, 'a', { a: [1, null] }])
})

test.each([
  ['hello', 'unexpected "hello" at its beginning (character 1)', `'"hello"'`],
  ["{'name': 1}", `unexpected "'name': 1}" after "{" (character 2)`, 'double quotes'],
  ['{"a": tru}', 'unexpected "}" after "{\\"a\\": tru" (character 10)', 'double quotes'],
  ['{"a": 1,}', 'unexpected "}" after "{\\"a\\": 1," (character 9)', 'double quotes'],
  ['[1, 2', 'it ends too early, after 5 characters', 'double quotes'],
  ['"half', 'it ends too early, after 5 characters', 'single quotes'],
  ['{"a": 1} x', 'unexpected "x" after "{\\"a\\": 1} " (character 10)', 'double quotes'],
  ['{\n  "a": .5\n}', 'unexpected ".5\\n}" after "{\\n  \\"a\\": " (line 2, column 8)', 'double quotes'],
  ['-x', 'unexpected "x" after "-" (character 2)', 'single quotes'],
  [' ', 'it is empty', 'single quotes'],
])('%j: says where it stops being JSON', (json, place, hint) => {
  expect(faultOf(json)).toEqual([`The body is not JSON: ${place}`, expect.stringContaining(hint)])
})
