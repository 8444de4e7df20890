import { expect, test } from 'vitest'
import { isAllowed, isOriginPattern } from '../../src/core/origin.ts'

test('an origin may end with a slash, as addresses in an environment do', () => {
  const patterns = ['http://localhost:8000/', 'https://*.example.com/']
  expect(patterns.map(isOriginPattern)).toEqual([true, true])
  const origins = ['http://localhost:8000', 'https://a.example.com', 'http://localhost:80001', 'https://example.com']
  expect(origins.map((origin) => isAllowed(origin, patterns))).toEqual([true, true, false, false])
  expect(['http://localhost:8000/api', 'http://localhost:8000//', 'localhost'].map(isOriginPattern)).toEqual([false, false, false])
})
