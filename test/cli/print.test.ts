import { expect, test } from 'vitest'
import { formatTable } from '../../src/cli/print.ts'

test('a table has as many rows as there are', () => {
  const rows = Array.from({ length: 300_000 }, (_, at) => [at])
  expect(formatTable(['n'], rows).split('\n').at(-1)).toBe('299999')
})
